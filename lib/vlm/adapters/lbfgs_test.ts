/** Tests of lbfgs.ts. */

import assert from "node:assert/strict";
import { minimize } from "./lbfgs.ts";

Deno.test("minimize finds the valley's end of Rosenbrock's function", async () => {
  const found = await minimize(
    ([x, y]) =>
      Promise.resolve({
        value: (1 - x!) ** 2 + 100 * (y! - x! ** 2) ** 2,
        gradient: Float64Array.of(-2 * (1 - x!) - 400 * x! * (y! - x! ** 2), 200 * (y! - x! ** 2)),
      }),
    Float64Array.of(-1.2, 1),
    { tolerance: 1e-9 },
  );
  assert.ok(found.converged && found.iterations < 60, `${found.iterations}`);
  assert.ok(Math.hypot(found.point[0]! - 1, found.point[1]! - 1) < 1e-7, String(found.point));
});

Deno.test("a badly scaled quadratic of 40 variables is minimised, and few iterations are reported as not enough", async () => {
  const scales = Float64Array.from({ length: 40 }, (_, i) => 10 ** (i / 10));
  const evaluate = (x: Float64Array) =>
    Promise.resolve({
      value: x.reduce((sum, value, i) => sum + scales[i]! * (value - i) ** 2 / 2, 0),
      gradient: x.map((value, i) => scales[i]! * (value - i)),
    });
  const found = await minimize(evaluate, new Float64Array(40), { tolerance: 1e-6, iterations: 1000 });
  found.point.forEach((value, i) => assert.ok(Math.abs(value - i) < 1e-5, `${i}: ${value}`));
  assert.equal((await minimize(evaluate, new Float64Array(40), { iterations: 3 })).converged, false);
});
