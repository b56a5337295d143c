/** Made-up ways on made-up pictures: chosen by validation, judged on test; cascades and late fusions of them. */

import assert from "node:assert/strict";
import { Random } from "../../runtime/mod.ts";
import { DEX, madeUp } from "../fusion/fixture.ts";
import {
  answersOf,
  type Approach,
  bestOf,
  cascadeApproach,
  type Kind,
  lateApproach,
  rightAnswers,
} from "./approach.ts";
import { compareApproaches, onlyRight, rowOf } from "./compare_approaches.ts";
import type { PictureView } from "./picture_view.ts";

const view = (split: "validation" | "test"): PictureView => ({
  ...{ dataset: undefined as never, split, features: madeUp(split) },
});
const validation = view("validation"), test = view("test");

/** Sure of the classes that it knows, in validation and in test. */
function way(
  name: string,
  kind: Kind,
  latency: number,
  knows: (label: number, split: string) => boolean,
): Approach & { readonly looks: string[] } {
  const looks: string[] = [];
  const family = kind === "hybrid" ? "hybrid" : kind === "classifier" ? "pictures" : "language";
  const costs = { always: [{ name, latency, parameters: 1, bytes: 4, macs: 1, activations: 4 }] };
  return {
    ...{ name, kind, family, costs, looks },
    // deno-lint-ignore require-await -- as an approach has it
    async scores({ split, features: { labels } }) {
      looks.push(split);
      const random = Random.seeded(name, split), classes = DEX.length;
      const values = new Float32Array(labels.length * classes);
      labels.forEach((label, row) => {
        const own = DEX.map((_, c) => c === label && knows(label, split) ? 8 : random.uniform(0.5, 1));
        const sum = own.reduce((a, b) => a + b);
        own.forEach((value, c) => values[row * classes + c] = value / sum);
      });
      return { values, classes };
    },
  };
}
const net = way("net", "classifier", 1, (label) => label < 5), clip = way("clip", "adapter", 4, (label) => label >= 4);
/** Better in test than in validation: must not be chosen for it. */
const lucky = way("lucky", "classifier", 2, (label, split) => split === "test" || label < 3);
const both = way("both", "hybrid", 6, () => true);

Deno.test("the best single model and hybrid are those of validation; differences, the front and what only the hybrid knows follow", async () => {
  const comparison = await compareApproaches([net, clip, lucky, both], { validation, test });
  assert.deepEqual([comparison.bestSingle, comparison.bestHybrid], ["net", "both"]);
  assert.deepEqual([comparison.pictures, comparison.species], [192, 8]);
  const row = rowOf(comparison, "both");
  assert.equal(row.top1.share, 1);
  // net knows five of eight classes, and is right by chance about some of the others.
  assert.equal(row.against.both + row.against.onlySecond, rowOf(comparison, "net").top1.correct);
  assert.equal(row.against.onlyFirst, 192 - rowOf(comparison, "net").top1.correct);
  // lucky is as accurate on test as the hybrid, and faster; clip is slower and worse than lucky.
  assert.deepEqual(comparison.rows.map(({ onFront }) => onFront), [true, false, true, false]);
  assert.deepEqual(onlyRight(comparison, "both"), []);
  const without = { rows: comparison.rows.filter(({ name }) => name !== "lucky") };
  const missed =
    rowOf(comparison, "net").right.filter((right, i) => !right && !rowOf(comparison, "clip").right[i]).length;
  assert.equal(onlyRight(without, "both").length, missed);
  assert.throws(() => rowOf(comparison, "none"), /expected net, clip, lucky, both, found "none"/);
});

Deno.test("comparisons without a hybrid, without a single model, and of two ways of one name are refused", async () => {
  await assert.rejects(compareApproaches([net], { validation, test }), /at least one hybrid, found none/);
  await assert.rejects(compareApproaches([both], { validation, test }), /at least one single model, found none/);
  await assert.rejects(compareApproaches([net, net, both], { validation, test }), /found 2|found 3 of 2/);
});

Deno.test("late fusion of two halves is nearly whole, costs both, and looks at validation for its weights alone", async () => {
  const late = await lateApproach("late", [net, clip], validation);
  const right = await rightAnswers(late, test);
  assert.ok(right.filter(Boolean).length > 185, `${right.filter(Boolean).length}`);
  assert.deepEqual([late.kind, late.family], ["ensemble", "hybrid"]);
  assert.deepEqual(late.costs.always.map(({ name }) => name), ["net", "clip"]);
  assert.equal((await bestOf([net, late], validation)).name, "late");
  const { model, pictures, probabilities } = await answersOf(late, test);
  assert.deepEqual([model, pictures.length, probabilities.values.length], ["late", 192, 192 * 8]);
});

Deno.test("a cascade asks about what the first is unsure of, at the share that validation chose", async () => {
  const cascade = await cascadeApproach("cascade", [net, both], validation);
  const { chosen, costs, kind } = cascade;
  assert.equal(kind, "cascade");
  assert.ok(chosen.asked > 0.2 && chosen.asked < 0.5, `${chosen.asked}`); // three of eight classes are not known
  assert.equal(costs.sometimes!.share, chosen.asked);
  const curve = await cascade.curve(test);
  assert.deepEqual([curve[0]!.cost, curve.at(-1)!.cost], [1, 7]);
  assert.ok((await rightAnswers(cascade, test)).filter(Boolean).length > 185);
});
