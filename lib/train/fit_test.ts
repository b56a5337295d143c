/** The fit loop: what happens when, and what ends it. */

import assert from "node:assert/strict";
import { tensor } from "../onnx/mod.ts";
import { inFolder, ofKind, scripted, smallFit, smallSource } from "./fit/fixture.ts";
import { compileTensorFlowStep, crossEntropy, type FitEvent, linearRate, readResume, sgd } from "./mod.ts";
import { openSmallStep, smallBatch, smallNetwork } from "./small_network.ts";

const max = { metric: "top1", mode: "max" } as const;

Deno.test("every step is logged with its epoch and the schedule's rate, the weights are those of the bare steps", async () => {
  const schedule = linearRate({ from: 0.1, to: 0.01, steps: 12 });
  const { events, state, ...result } = await smallFit({ schedule }, { dropout: 0.3 });
  assert.deepEqual([result.reason, result.epochs, result.step, result.images], ["finished", 3, 12, 72]);
  const steps = ofKind(events, "step");
  assert.deepEqual(steps.map(({ step }) => step), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  assert.deepEqual(steps.map(({ epoch }) => epoch), [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]);
  steps.forEach(({ learningRate, step }) => assert.ok(Math.abs(learningRate - (0.1 - 0.09 * step / 12)) < 1e-12));
  await using bare = await openSmallStep({ dropout: 0.3 });
  for (let i = 0; i < 12; i++) {
    const { loss } = await bare.run(smallBatch(100 * Math.floor(i / 4) + i % 4), { learningRate: schedule(i) });
    assert.equal(steps[i]!.loss, loss);
  }
  assert.deepEqual(state, await bare.state());
});

Deno.test("validation runs every k epochs and after the last, and the best is the highest of the monitored figure", async () => {
  const values = [0, 0.5, 0, 0.9, 0, 0.9, 0.2];
  const { events, best, metrics } = await smallFit({
    epochs: 7,
    validation: { ...scripted(values), every: 2, monitor: max },
  });
  const validations = ofKind(events, "validation");
  assert.deepEqual(validations.map(({ epoch, best }) => [epoch, best]), [[1, true], [3, true], [5, false], [6, false]]);
  assert.deepEqual(best, { metric: "top1", value: 0.9, epoch: 3, step: 16 });
  assert.deepEqual(metrics, { top1: 0.2 });
});

Deno.test("training stops early after as many validations without a better one as patience says; NaN is never better", async () => {
  const values = [0.1, NaN, 0.3, 0.2, NaN, 0.3, 0.9];
  const { reason, epochs, best, events } = await smallFit({
    epochs: 7,
    validation: { ...scripted(values), monitor: max, patience: 3 },
  });
  assert.deepEqual([reason, epochs, best?.epoch], ["early stop", 6, 2]);
  assert.deepEqual(events.at(-1), { ...events.at(-1), kind: "end", reason: "early stop", step: 24 } as FitEvent);
  const low = await smallFit({
    epochs: 4,
    validation: { ...scripted([0.9, 0.85, 0.7, 0.7]), monitor: { ...max, mode: "min", minDelta: 0.1 } },
  });
  assert.equal(low.best?.epoch, 2); // 0.85 is not lower by more than 0.1, 0.7 is
});

Deno.test("a budget of steps ends in the middle of an epoch; one of seconds too, by the clock, with the same steps till there", async () => {
  const whole = await smallFit();
  const bySteps = await smallFit({ budget: { steps: 6 } });
  assert.deepEqual([bySteps.reason, bySteps.step, bySteps.epochs], ["step budget", 6, 1]);
  let time = 0;
  const byClock = await smallFit({
    budget: { seconds: 7 },
    now: () => time,
    callbacks: [{ onStep: () => void (time += 1000) }],
  });
  assert.deepEqual([byClock.reason, byClock.step], ["time budget", 7]);
  const losses = (events: readonly FitEvent[]) => ofKind(events, "step").map(({ loss }) => loss);
  assert.deepEqual(losses(bySteps.events), losses(whole.events).slice(0, 6));
  assert.deepEqual(losses(byClock.events), losses(whole.events).slice(0, 7));
  assert.equal(ofKind(byClock.events, "end")[0]!.reason, "time budget");
});

Deno.test("steps that are not finite are logged and counted; too many in a row end training with the first cause", async () => {
  const bad = (...places: number[]): typeof smallSource =>
    async function* (epoch, from) {
      for (let step = from; step < 4; step++) {
        const { x, labels } = smallBatch(step);
        const place = 4 * epoch + step;
        const pixels = Float32Array.from(x!.data as Float32Array);
        if (places.includes(place)) pixels[place] = NaN;
        yield { batch: { x: tensor("float32", x!.shape, pixels), labels: labels! }, images: 6 };
      }
    };
  const { nonFinite, events } = await smallFit({ batches: bad(2, 3, 5, 6), maxNonFinite: 3 });
  assert.equal(nonFinite, 4);
  const incidents = ofKind(events, "incident");
  assert.deepEqual(incidents.map(({ step }) => step), [2, 3, 5, 6]);
  assert.match(incidents[0]!.cause, /^step 2: expected a finite loss .*input "x" holds NaN at place 2; nothing was/);
  const log: FitEvent[] = [];
  await assert.rejects(
    smallFit({
      batches: bad(1, 3, 4, 5, 6),
      maxNonFinite: 3,
      log: { append: (event) => void log.push(event) },
    }),
    /^TrainError: fit: expected a finite step among 3 in a row, found none; the first: step 3: .*holds NaN at place 3/,
  );
  const end = log.at(-1)!;
  assert.ok(end.kind === "end" && end.reason === "failed" && end.problem?.startsWith("fit: expected a finite step"));
});

Deno.test("interrupted in a validation, the checkpoint is of before it, and the resumed fit validates once and goes on alike", () =>
  inFolder(async (folder) => {
    const checkpoints = { folder, everyEpochs: 1 };
    const controller = new AbortController();
    const first = await smallFit({
      checkpoints,
      signal: controller.signal,
      validation: {
        monitor: max,
        run({ epoch, signal }) {
          if (epoch === 1) controller.abort();
          signal.throwIfAborted();
          return Promise.resolve({ top1: epoch });
        },
      },
    });
    assert.deepEqual([first.reason, first.step, first.epochs], ["interrupted", 8, 1]);
    await using step = await openSmallStep();
    const resume = await readResume(folder, { tensors: step.tensors });
    assert.deepEqual([resume.progress.epoch, resume.progress.stepInEpoch], [1, 4]);
    const second = await smallFit({ checkpoints, resume, validation: { ...scripted([0, 1, 2]), monitor: max } });
    assert.deepEqual(ofKind(second.events, "validation").map(({ epoch, best }) => [epoch, best]), [[1, true], [
      2,
      true,
    ]]);
    assert.deepEqual(ofKind(second.events, "step").map(({ step }) => step), [8, 9, 10, 11]);
    assert.deepEqual(second.state, (await smallFit()).state);
  }));

Deno.test("a checkpoint by the minute is written within an epoch, and training that goes on from it is the same to the bit", () =>
  inFolder(async (folder) => {
    let time = 0;
    const tick = { onStep: () => void (time += 21_000) };
    const checkpoints = { folder, everyMinutes: 1, everyEpochs: 100, keep: 100 };
    const whole = await smallFit({ checkpoints, callbacks: [tick], now: () => time });
    const saved = ofKind(whole.events, "checkpoint").map(({ step, why }) => [step, why]);
    assert.deepEqual(saved, [[3, "minutes"], [6, "minutes"], [9, "minutes"], [12, "minutes"]]);
    await using step = await openSmallStep();
    const path = `${folder}/checkpoints/step-000000006.safetensors`;
    const resume = await readResume(path, { tensors: step.tensors });
    assert.deepEqual([resume.progress.epoch, resume.progress.stepInEpoch, resume.progress.images], [1, 2, 36]);
    const rest = await smallFit({ resume });
    assert.deepEqual(rest.state, whole.state);
    assert.equal(rest.images, 72);
    await assert.rejects(
      smallFit({ resume, stepsPerEpoch: 5 }),
      /step-000000006.safetensors: expected a checkpoint from within an epoch of 5 steps, found one of 4/,
    );
  }));

Deno.test("patience, the best, the mean loss of an epoch and the caller's own state go on where they were", () =>
  inFolder(async (folder) => {
    const values = [0.5, 0.4, 0.3, 0.2, 0.1];
    const validation = { ...scripted(values), monitor: max, patience: 3 };
    const epochLosses = (into: number[]) => [{ onEpoch: ({ loss }: { loss: number }) => void into.push(loss) }];
    const wholeLosses: number[] = [], restLosses: number[] = [];
    const { events } = await smallFit({ epochs: 5, validation, callbacks: epochLosses(wholeLosses) });
    const [a, b, c, d] = ofKind(events, "step").map(({ loss }) => loss);
    assert.ok(Math.abs(wholeLosses[0]! - (a! + b! + c! + d!) / 4) < 1e-12);
    let own = 0;
    const custom = { save: () => ({ own }), load: (saved: unknown) => void (own = (saved as { own: number }).own) };
    own = 7;
    await smallFit({ epochs: 5, validation, budget: { steps: 10 }, checkpoints: { folder }, custom });
    own = 0;
    await using step = await openSmallStep();
    const resume = await readResume(folder, { tensors: step.tensors });
    const rest = await smallFit({ epochs: 5, validation, resume, custom, callbacks: epochLosses(restLosses) });
    assert.equal(own, 7);
    assert.deepEqual([rest.reason, rest.epochs, rest.best?.value], ["early stop", 4, 0.5]);
    assert.deepEqual(restLosses, wholeLosses.slice(2));
    const again = await smallFit({
      epochs: 5,
      validation,
      resume: { ...resume, progress: { ...resume.progress, waited: 3 } },
    });
    assert.deepEqual([again.reason, again.events.map(({ kind }) => kind)], ["early stop", ["resume", "end"]]);
  }));

Deno.test("the second engine fits too, and goes on from the first one's checkpoint with its losses", () =>
  inFolder(async (folder) => {
    const whole = await smallFit({ epochs: 2 });
    await smallFit({ epochs: 2, budget: { steps: 5 }, checkpoints: { folder } });
    await using step = await compileTensorFlowStep({
      model: smallNetwork(),
      loss: ({ output, input }) => crossEntropy(output("logits"), input("labels", "int64", ["N"])),
      optimizer: sgd({ momentum: 0.9 }),
      backend: "cpu",
    });
    const resume = await readResume(folder, { tensors: step.tensors });
    const { events } = await smallFit({ step, epochs: 2, resume });
    const losses = ofKind(events, "step").map(({ loss }) => loss);
    assert.equal(losses.length, 3);
    const expected = ofKind(whole.events, "step").slice(5).map(({ loss }) => loss);
    losses.forEach((loss, i) =>
      assert.ok(Math.abs(loss - expected[i]!) < 1e-4 * expected[i]!, `${losses} ${expected}`)
    );
  }));

Deno.test("what cannot be trained is one line that says where", async () => {
  const cases: [Parameters<typeof smallFit>[0], RegExp][] = [
    [{ epochs: 0 }, /fit: epochs: expected a whole number from 1, found 0/],
    [{ budget: { seconds: NaN } }, /fit: budget.seconds: expected a number above 0, found NaN/],
    [{ stepsPerEpoch: 5 }, /fit: epoch 0: expected 5 batches, found 4/],
    [{ validation: { ...scripted([1]), patience: 1 } }, /fit: patience: expected a monitor/],
    [
      { validation: { ...scripted([1]), monitor: { metric: "map50", mode: "max" } } },
      /fit: monitor: expected the figure "map50", found top1/,
    ],
  ];
  for (const [options, message] of cases) await assert.rejects(smallFit(options), message);
  await using step = await openSmallStep();
  await step.run(smallBatch(0), { learningRate: 0 });
  await assert.rejects(
    smallFit({ step }),
    /expected a step that has not run or a checkpoint .*found one after 1 steps/,
  );
});

Deno.test("progress tells steps done and in all, the epoch, loss, images a second, rate and memory", async () => {
  let time = 0;
  const notes: string[] = [], done: (number | undefined)[][] = [];
  await smallFit({
    epochs: 2,
    now: () => time,
    batches: async function* (epoch, from) {
      for await (const batch of smallSource(epoch, from)) {
        time += 50;
        yield batch;
      }
    },
    onProgress: (report) => {
      notes.push(report.note!);
      done.push([report.done, report.total]);
    },
  });
  assert.deepEqual(done, [[1, 8], [2, 8], [3, 8], [4, 8], [5, 8], [6, 8], [7, 8], [8, 8]]);
  assert.match(notes[5]!, /^epoch 2\/2, loss \d+\.\d+, 120 images\/s, rate 0\.0500, \d+ MiB$/);
});
