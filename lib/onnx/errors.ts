/** The error of this floor. */

import { InputError } from "../runtime/mod.ts";

/** A graph, a model file or a weight file was wrong. One line: operator or file, expectation, finding. */
export class OnnxError extends InputError {
  override name = "OnnxError";
}
