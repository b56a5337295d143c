/** The error of this floor. */

import { InputError } from "../runtime/mod.ts";

/** A gradient was asked for that cannot be given. One line: operator and node, expectation, finding, what to do. */
export class AutodiffError extends InputError {
  override name = "AutodiffError";
}
