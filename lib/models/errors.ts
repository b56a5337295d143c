/** The error of this floor. */

import { InputError } from "../runtime/mod.ts";

/** A model cannot be built, read or decoded as asked. One line: place, expectation, finding. */
export class ModelError extends InputError {
  override name = "ModelError";
}
