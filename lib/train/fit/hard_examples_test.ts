/** Hard examples over a resume: what was mined is in the checkpoint, and training goes on with the same bits. */

import assert from "node:assert/strict";
import { HardExamples, hardnessOf } from "../../data/mod.ts";
import { tensor, toNumbers } from "../../onnx/mod.ts";
import { Random } from "../../runtime/mod.ts";
import type { Step } from "../compile_step.ts";
import { fit, type FitOptions } from "../fit.ts";
import { constantRate } from "../schedules.ts";
import { openSmallStep, smallBatch } from "../small_network.ts";
import { inFolder } from "./fixture.ts";
import { readResume } from "./resume.ts";

const pictures = smallBatch(0, 24), size = 64;
const pixels = toNumbers(pictures.x!), labels = toNumbers(pictures.labels!);

/** Four epochs of six batches of four; after each the wrong pairs of a validation are mined. */
async function train(step: Step, options: Partial<FitOptions> = {}, { carries = true } = {}) {
  const hard = new HardExamples({ share: 0.5, batch: 4, delay: 1 });
  const orders: number[][] = [];
  await fit({
    step,
    epochs: 4,
    stepsPerEpoch: 6,
    schedule: constantRate(0.02),
    batches: async function* (epoch, fromStep) {
      const order = [...hard.sampler(labels, Random.seeded("order", epoch), epoch) as Uint32Array];
      orders[epoch] = order;
      for (let at = 4 * fromStep; at < order.length; at += 4) {
        const chosen = order.slice(at, at + 4);
        const batch = {
          x: tensor("float32", [4, 1, 8, 8], chosen.flatMap((i) => pixels.slice(size * i, size * (i + 1)))),
          labels: tensor("int64", [4], chosen.map((i) => labels[i]!)),
        };
        yield { batch, images: 4 };
      }
    },
    validation: {
      run: async ({ epoch }) => {
        const logits = toNumbers((await step.evaluate({ x: pictures.x! })).logits!);
        const predicted = labels.map((_, i) => {
          const own = logits.slice(3 * i, 3 * i + 3);
          return own.indexOf(Math.max(...own));
        });
        hard.record(epoch, hardnessOf({ labels, predicted, classes: 3 }));
        return { wrong: predicted.filter((guess, i) => guess !== labels[i]).length };
      },
    },
    ...(carries ? { custom: { save: () => hard.save(), load: (saved) => hard.load(saved) } } : {}),
    ...options,
  });
  return { state: await step.state(), orders };
}

Deno.test("a training on hard examples that is cut off within an epoch goes on with the same orders and bits", () =>
  inFolder(async (folder) => {
    await using first = await openSmallStep();
    const whole = await train(first);
    assert.ok(
      whole.orders.slice(1).some((order) => new Set(order).size < 20),
      "something was hard: pictures come again",
    );
    await using second = await openSmallStep();
    await train(second, { budget: { steps: 9 }, checkpoints: { folder } });
    for (const carries of [true, false]) {
      await using third = await openSmallStep();
      const resume = await readResume(folder, { tensors: third.tensors });
      const rest = await train(third, { resume }, { carries });
      assert.equal(String(rest.orders.slice(1)) === String(whole.orders.slice(1)), carries);
      if (carries) assert.deepEqual(rest.state, whole.state);
    }
  }));
