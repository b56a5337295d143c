/** Tests of options.ts: what cannot be asked of the guard. */

import assert from "node:assert/strict";
import { smallFit } from "../fit/fixture.ts";
import { goesBack, type GuardOptions, guardSettings } from "./options.ts";

Deno.test("a setting out of its range is one line that names it", () => {
  const cases: [GuardOptions, RegExp][] = [
    [{ rateFactor: 0 }, /^TrainError: fit: guard: rateFactor: expected a number above 0, at most 1, found 0$/],
    [{ mostRollbacks: 1.5 }, /guard: mostRollbacks: expected a whole number from 0, found 1.5/],
    [{ lossSpike: { deviations: -1 } }, /guard: lossSpike.deviations: expected a number above 0, found -1/],
    [{ gradientSpike: { window: 0 } }, /guard: gradientSpike.window: expected a whole number from 1, found 0/],
    [{ lasting: { steps: 0 } }, /guard: lasting.steps: expected a whole number from 1, found 0/],
    [{ validationFall: { share: 2 } }, /guard: validationFall.share: expected a number above 0, at most 1, found 2/],
    [{ averageDistance: { warmUp: NaN } }, /guard: averageDistance.warmUp: expected a whole number from 1, found NaN/],
  ];
  for (const [options, message] of cases) assert.throws(() => guardSettings(options), message);
});

Deno.test("a guard that may go back wants checkpoints; one that only skips, logs and stops does not", async () => {
  await assert.rejects(smallFit({ guard: {} }), /^TrainError: fit: guard: expected checkpoints to go back to, or no/);
  const guard: GuardOptions = { lasting: false, validationFall: { response: "stop" } };
  assert.equal(goesBack(guardSettings(guard)), false);
  assert.equal((await smallFit({ guard })).reason, "finished");
});
