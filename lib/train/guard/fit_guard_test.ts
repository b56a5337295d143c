/** Small trainings into which faults are put: with the guard they end as well as one that was left in peace. */

import assert from "node:assert/strict";
import type { Batch } from "../batch.ts";
import { checkpointName } from "../checkpoint.ts";
import { inFolder, ofKind, scripted, smallFit } from "../fit/fixture.ts";
import { adamW } from "../optimizers.ts";
import { fast, type Fault, faultyFit, quality, shuffledLabels, within, withNaN } from "./fixture.ts";

type Options = Parameters<typeof faultyFit>[2];

function run(fault: Fault, options: Options = {}, step: Parameters<typeof faultyFit>[3] = {}) {
  return inFolder((folder) => faultyFit(folder, fault, options, step));
}

const responses = (
  { incidents }: { incidents: readonly { what: string; response: string }[] },
) => [...new Set(incidents.map(({ what, response }) => `${what}: ${response}`))];

/** One undisturbed training, made once for all tests: top-1 0.99. */
let calm: ReturnType<typeof run> | undefined;
const undisturbed = () => calm ??= run({});

Deno.test("a healthy training is the same to the bit with the guard on, and the guard says nothing", async () => {
  for (const step of [{}, { averageDecay: 0.9, optimizer: adamW(), accumulate: 2 }]) {
    const without = await run({}, {}, step), guarded = await run({}, { guard: {} }, step);
    assert.deepEqual(guarded.state, without.state);
    assert.deepEqual(
      ofKind(guarded.events, "step").map(({ wall: _, ...event }) => event),
      ofKind(without.events, "step").map(({ wall: _, ...event }) => event),
    );
    assert.deepEqual([guarded.incidents, guarded.skipped, guarded.rateFactor], [[], 0, 1]);
    assert.ok(quality(guarded) > 0.95);
  }
});

Deno.test("a NaN in a batch costs one step", async () => {
  const fault: Fault = { batch: (batch, step) => step === 130 ? withNaN(batch) : batch };
  const guarded = await run(fault, { guard: {} });
  assert.ok(quality(guarded) >= quality(await undisturbed()) - 0.02, `${quality(guarded)}`);
  assert.deepEqual(responses(guarded), ["non-finite step: skip"]);
  assert.equal(guarded.nonFinite, 1);
  const [incident] = ofKind(guarded.events, "incident");
  assert.match(incident!.cause, /^step 130: expected a finite loss and gradients, .*"x" holds NaN at place 17/);
  assert.deepEqual((await run(fault)).state, guarded.state);
});

Deno.test("a learning rate of 100 times for five steps: the guard goes back twice and ends as well; without it nothing is left", async () => {
  const guarded = await run(fast(130, 135), { guard: {} }), without = await run(fast(130, 135));
  assert.ok(quality(guarded) >= quality(await undisturbed()) - 0.05, `${quality(guarded)}`);
  assert.ok(quality(without) < 0.4, `${quality(without)}`); // one of three classes
  assert.deepEqual([guarded.reason, guarded.step, guarded.rateFactor], ["finished", 240, 0.25]);
  const back = ofKind(guarded.events, "incident").filter(({ rollback }) => rollback);
  assert.equal(back.length, 2);
  const [first, second] = back;
  assert.deepEqual(first!.rollback, {
    ...{ file: `checkpoints/${checkpointName(120)}`, step: 120, epoch: 6, stepInEpoch: 0, rateFactor: 0.5 },
  });
  assert.match(
    first!.cause,
    /^step 140: expected fewer than 10 steps in a row .* went back to .*, learning rate times 0.5$/,
  );
  assert.deepEqual(second!.rollback!.passes, [120, 141]);
  assert.match(second!.cause, /learning rate times 0.25, steps 120 to 140 go by$/);
  // After a rollback the rate is the schedule's times the factor, and the steps that go by change nothing.
  const steps = ofKind(guarded.events, "step"), last = new Map(steps.map((event) => [event.step, event]));
  const free = new Map(ofKind((await undisturbed()).events, "step").map((event) => [event.step, event]));
  assert.equal(last.get(150)!.learningRate, 0.25 * free.get(150)!.learningRate);
  assert.deepEqual(
    steps.filter(({ skipped, learningRate, step }) => skipped && learningRate === 0.25 * free.get(step)!.learningRate)
      .map(({ step }) => step),
    Array.from({ length: 21 }, (_, i) => 120 + i).filter((step) => !within(130, 135)(step)), // where the rate is not 25 times
  );
});

Deno.test("a validation that falls leads back to before, with no look at the steps; each answer is logged with its evidence", async () => {
  const guard = { lossSpike: false, gradientSpike: false, lasting: false } as const;
  const guarded = await run(fast(130, 150), { guard });
  assert.ok(quality(guarded) >= quality(await undisturbed()) - 0.06, `${quality(guarded)}`);
  assert.ok(quality(await run(fast(130, 150))) < 0.4);
  assert.deepEqual(responses(guarded), ["validation fall: rollback"]);
  assert.deepEqual([guarded.reason, guarded.rateFactor, guarded.skipped], ["finished", 0.125, 0]);
  const [incident] = ofKind(guarded.events, "incident");
  const { evidence, step, epoch } = incident!;
  assert.deepEqual([step, epoch], [140, 6]);
  assert.ok(evidence!.found < 0.4 && evidence!.lowest! > 0.4 && evidence!.highest === undefined);
  assert.match(incident!.cause, /^epoch 6: expected a top1 from 0\.\d+ \(best 0\.\d+\), found 0\.32; went back to/);
});

Deno.test("labels that are noise for thirty steps do no lasting harm", async () => {
  const fault: Fault = { batch: (batch, step) => within(130, 160)(step) ? shuffledLabels(batch, step) : batch };
  const guarded = await run(fault, { guard: {} });
  assert.ok(quality(guarded) >= quality(await undisturbed()) - 0.05, `${quality(guarded)}`);
  assert.ok(quality(await run(fault)) < 0.6);
});

Deno.test("pictures of a thousand times the size in one batch, which a normalisation hides from the loss, are found by validation", async () => {
  const huge = ({ x, ...rest }: Batch): Batch => ({
    ...rest,
    x: { ...x!, data: Float32Array.from(x!.data as Float32Array, (pixel) => 1000 * pixel) },
  });
  const guarded = await run({ batch: (batch, step) => step === 230 ? huge(batch) : batch }, { guard: {} });
  assert.ok(quality(guarded) >= quality(await undisturbed()) - 0.03, `${quality(guarded)}`);
  assert.ok(quality(await run({ batch: (batch, step) => step === 230 ? huge(batch) : batch })) < 0.7);
});

Deno.test("moving average and weights that part are logged, or answered as asked", async () => {
  const rest = { lossSpike: false, gradientSpike: false, lasting: false, validationFall: false } as const;
  const step = { averageDecay: 0.9 };
  const logged = await run(fast(195, 200), { guard: rest }, step);
  assert.deepEqual(responses(logged), ["average distance: log"]);
  const [incident] = ofKind(logged.events, "incident");
  assert.ok(incident!.step === 200 && incident!.evidence!.found > incident!.evidence!.highest!);
  const guard = { ...rest, averageDistance: { response: "rollback" } } as const;
  const back = await run(fast(195, 200), { guard }, step);
  assert.equal(back.reason, "finished");
  assert.ok(back.incidents.some(({ rollback }) => rollback?.step === 180));
});

Deno.test("a single step can be answered by a stop or a rollback, or only logged", async () => {
  const fault: Fault = { batch: (batch, step) => step === 130 ? withNaN(batch) : batch };
  const stopped = await run(fault, { guard: { nonFinite: "stop" } });
  assert.deepEqual([stopped.reason, responses(stopped)], ["guard", ["non-finite step: stop"]]);
  const back = await run(fault, { guard: { nonFinite: "rollback" } });
  assert.deepEqual([back.reason, back.rateFactor], ["finished", 0.25]);
  const spike = { response: "log" } as const;
  const logged = await run(fast(130, 131), {
    guard: { lossSpike: spike, gradientSpike: spike, validationFall: false },
  });
  assert.deepEqual(responses(logged), ["loss spike: log", "gradient spike: log"]);
  assert.equal(logged.skipped, 0);
});

Deno.test("validations of three pictures that jump about send no healthy training back", async () => {
  const curve = [1, 1, 2, 2, 2, 2, 0, 1, 2, 1].map((right) => right / 3);
  const told = (pictures?: number) =>
    inFolder((folder) =>
      smallFit({
        epochs: curve.length,
        checkpoints: { folder, everyEpochs: 1 },
        guard: { mostRollbacks: 0 },
        validation: {
          ...{ ...scripted(curve), monitor: { metric: "top1", mode: "max" } },
          ...(pictures === undefined ? {} : { pictures }),
        },
      })
    );
  const three = await told(3);
  assert.deepEqual([three.reason, three.incidents], ["finished", []]);
  for (const each of [await told(), await told(300)]) {
    assert.deepEqual([each.reason, responses(each)], ["guard", ["validation fall: stop"]]);
  }
});
