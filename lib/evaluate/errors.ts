/** The error of this floor. */

import { InputError } from "../runtime/mod.ts";

/** Predictions or truth cannot be judged as given. One line: place, expectation, finding. */
export class EvaluateError extends InputError {
  override name = "EvaluateError";
}
