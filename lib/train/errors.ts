/** The error of this floor. */

import { InputError } from "../runtime/mod.ts";

/** A model cannot be trained as asked, or a batch or checkpoint does not fit. One line: place, expectation, finding. */
export class TrainError extends InputError {
  override name = "TrainError";
}
