import assert from "node:assert/strict";
import { Graph, toModel, type Value } from "../../onnx/mod.ts";
import { openSession, Random, type Tensor, tensor } from "../../runtime/mod.ts";
import { smallClip } from "./fixture.ts";
import { clipLabels, clipLoss } from "./network.ts";

const SCALE = 14.3, DIMENSION = 6;
const sizes = { batch: 3, negatives: 2, names: 4, nameLength: 5, species: 7 };
const labels = { images: [0, 4, 6], texts: [0, 4, 6, 1, 2], names: [0, 4, 6, 5] };

/** The loss of embeddings that are fed, with its parts. */
async function lossOf(species: Record<string, number>): Promise<Record<string, number>> {
  const { loss } = smallClip({}, { loss: { names: { weight: 0.5 }, species } });
  const graph = new Graph("loss"), feeds: Record<string, Tensor> = {}, random = Random.seeded("network");
  const rows = {
    images: sizes.batch,
    texts: sizes.batch + sizes.negatives,
    names: sizes.names,
    species: sizes.species,
  };
  const outputs = new Map<string, Value>([["scale", graph.constant([SCALE], { shape: [1] })]]);
  for (const [name, count] of Object.entries(rows)) {
    const values = embeddings(random, count, name === "species");
    feeds[name] = tensor("float32", [count, DIMENSION], values.flat());
    outputs.set(name === "species" ? name : `${name}/embeds`, graph.input(name, "float32", [count, DIMENSION]));
  }
  const result = clipLoss(sizes, loss)({
    graph,
    output: (name = "") => outputs.get(name)!,
    value: (name) => outputs.get(name)!,
    input: (name, dtype, shape) => graph.input(name, dtype, shape),
  }) as { loss: Value; metrics: Record<string, Value> };
  const { scale: _, ...metrics } = result.metrics;
  for (const [name, value] of Object.entries({ loss: result.loss, ...metrics })) graph.output(value, name);
  await using session = await openSession(toModel(graph));
  const found = await session.run({ ...feeds, ...clipLabels(loss.species, labels) });
  return Object.fromEntries(Object.entries(found).map(([name, { data }]) => [name, Number(data[0])]));
}

function embeddings(random: Random, count: number, unit: boolean): number[][] {
  return Array.from({ length: count }, () => {
    const row = Array.from({ length: DIMENSION }, () => random.normal());
    return unit ? row.map((x) => x / Math.hypot(...row)) : row;
  });
}

/** Mean over rows of −Σ t log softmax(scale · cos), the target 1 − s at the label and s spread over all. */
function entropyByHand(rows: number[][], prototypes: number[][], ids: number[], smoothing: number): number {
  const losses = rows.map((row, i) => {
    const logits = prototypes.map((each) =>
      SCALE * each.reduce((sum, x, d) => sum + x * row[d]!, 0) / Math.hypot(...row)
    );
    const all = Math.log(logits.reduce((sum, x) => sum + Math.exp(x), 0));
    const mean = logits.reduce((sum, x) => sum + x, 0) / logits.length;
    return all - (1 - smoothing) * logits[ids[i]!]! - smoothing * mean;
  });
  return losses.reduce((sum, x) => sum + x, 0) / losses.length;
}

Deno.test("pictures and texts are classified by the species' prototypes, as calculated by hand", async () => {
  const found = await lossOf({ pictures: 0.7, texts: 0.3, labelSmoothing: 0.1 });
  const random = Random.seeded("network");
  const [images, texts, names, species] = [3, 5, 4, 7].map((count, i) => embeddings(random, count, i === 3));
  const pictures = entropyByHand(images!, species!, labels.images, 0.1);
  const told = entropyByHand([...texts!, ...names!], species!, [...labels.texts, ...labels.names], 0.1);
  assert.ok(Math.abs(found.speciesOfPictures! - pictures) < 1e-4, `${found.speciesOfPictures} for ${pictures}`);
  assert.ok(Math.abs(found.speciesOfTexts! - told) < 1e-4, `${found.speciesOfTexts} for ${told}`);
  const whole = found.contrastive! + 0.5 * found.naming! + 0.7 * pictures + 0.3 * told;
  assert.ok(Math.abs(found.loss! - whole) < 1e-4, `${found.loss} for ${whole}`);
});

Deno.test("a weight of 0 takes a part of the loss and its labels away", async () => {
  const { contrastive, naming, ...found } = await lossOf({ pictures: 0, texts: 1 });
  assert.ok(found.speciesOfTexts! > 0);
  assert.equal(found.speciesOfPictures, undefined);
  assert.ok(Math.abs(found.loss! - contrastive! - 0.5 * naming! - found.speciesOfTexts!) < 1e-4);
});
