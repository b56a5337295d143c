/** Operators that change shapes against ONNX Runtime, over random shapes and settings. */

import { CASES } from "./cases.ts";
import { checkCase } from "./oracle.ts";

for (const [name, build] of Object.entries(CASES)) {
  Deno.test(`${name}: types, shapes and known elements are those that ONNX Runtime finds`, async () => {
    for (let trial = 0; trial < 8; trial++) await checkCase(build, name, trial);
  });
}
