/** Tests of the adapters: cases solved by hand, closed forms, what must not change a result, and wrong input. */

import assert from "node:assert/strict";
import { InputError, Random, tensor } from "../../runtime/mod.ts";
import type { LabelledFeatures } from "../encoder.ts";
import {
  type Adapter,
  clipAdapter,
  gda,
  linearProbe,
  lpPlusPlus,
  nearestPrototype,
  tipAdapter,
  tipAdapterF,
  zeroShot,
} from "./mod.ts";
import { takeRows } from "./products.ts";
import { labelled, smallFeatures } from "./small_features.ts";

const quick = { epochs: 3, batch: 16 };
const learners: readonly Adapter[] = [
  nearestPrototype(),
  linearProbe(),
  lpPlusPlus({ steps: 30 }),
  gda(),
  tipAdapter(),
  tipAdapterF(quick),
  clipAdapter({ ...quick, ratios: [0.2, 0.4] }),
];

/** Two classes on the unit circle. */
const circle = {
  train: labelled([[0.6, 0.8], [0.8, 0.6], [-0.6, 0.8], [-0.8, 0.6]], [0, 0, 1, 1]),
  texts: tensor("float32", [2, 2], [1, 0, 0, 1]),
  classes: 2,
  logitScale: 10,
  threads: 1,
};
const query = tensor("float32", [1, 2], [0.6, 0.8]);

async function logitsOf(adapter: Adapter, input: Parameters<Adapter["fit"]>[0], features = query): Promise<number[]> {
  await using fitted = await adapter.fit({ threads: 1, ...input });
  const { shape, data } = await fitted.logits(features);
  assert.deepEqual(shape, [features.shape[0], input.classes]);
  return [...data];
}

function assertNear(found: readonly number[], expected: readonly number[], tolerance = 1e-4) {
  assert.equal(found.length, expected.length);
  found.forEach((value, i) => assert.ok(Math.abs(value - expected[i]!) < tolerance, `${found} not near ${expected}`));
}

Deno.test("zero-shot is the scaled cosine, whatever the training pictures", async () => {
  assertNear(await logitsOf(zeroShot(), circle), [6, 8]);
  assertNear(await logitsOf(zeroShot(), { ...circle, train: labelled([[1, 1]], [7]) }), [6, 8]);
});

Deno.test("the nearest prototype is the normalised class mean, or the text with all the weight on it", async () => {
  const half = Math.SQRT1_2;
  assertNear(await logitsOf(nearestPrototype(), circle), [14 * half, 2 * half]);
  assertNear(await logitsOf(nearestPrototype({ textWeight: 1 }), circle), [6, 8]);
  // halfway between (√½, √½) and (1, 0): the direction of 22.5°
  const angle = Math.PI / 8;
  const [first] = await logitsOf(nearestPrototype({ textWeight: 0.5 }), circle);
  assertNear([first!], [10 * (0.6 * Math.cos(angle) + 0.8 * Math.sin(angle))]);
});

Deno.test("GDA solved by hand: scatter 0.04 I and trace 0.08/3 make a precision of 30 I", async () => {
  // w = ±21, 21; b = −log 2 − ½ · 30 · 0.98
  const b = -Math.log(2) - 14.7;
  assertNear(await logitsOf(gda(), circle), [6 + 12.6 + 16.8 + b, 8 - 12.6 + 16.8 + b]);
  assertNear(await logitsOf(gda({ alpha: 0 }), circle), [6, 8]);
});

Deno.test("GDA with one picture a class is the nearest picture beside the texts", async () => {
  const train = labelled([[1, 0], [0, -1]], [0, 1]), b = -Math.log(2) - 0.5;
  assertNear(await logitsOf(gda(), { ...circle, train }), [6 + 0.6 + b, 8 - 0.8 + b]);
});

Deno.test("Tip-Adapter adds the keys' nearness, class by class", async () => {
  const nearness = (cosine: number) => Math.exp(-5.5 * (1 - cosine));
  const expected = [6 + 2 * (nearness(1) + nearness(0.96)), 8 + 2 * (nearness(0.28) + nearness(0))];
  assertNear(await logitsOf(tipAdapter({ alpha: 2 }), circle), expected);
});

Deno.test("a class with fewer keys than another is not helped by its empty places", async () => {
  const train = takeRows(circle.train, [0, 1, 2]), nearness = (cosine: number) => Math.exp(-5.5 * (1 - cosine));
  assertNear(await logitsOf(tipAdapter(), { ...circle, train }), [
    6 + nearness(1) + nearness(0.96),
    8 + nearness(0.28),
  ]);
});

Deno.test("one key a class is the normalised mean of the class", async () => {
  const nearness = (cosine: number) => Math.exp(-5.5 * (1 - cosine)), half = Math.SQRT1_2;
  const expected = [6 + nearness(1.4 * half), 8 + nearness(0.2 * half)];
  assertNear(await logitsOf(tipAdapter({ keys: 2 }), circle), expected);
});

Deno.test("Tip-Adapter-F that learns at rate 0 is Tip-Adapter, and learning lowers the loss", async () => {
  const still = { epochs: 1, batch: 4, learningRate: 0 };
  assertNear(await logitsOf(tipAdapterF(still), circle), await logitsOf(tipAdapter(), circle));
  const small = smallFeatures(1), losses: number[] = [];
  await using _ = await tipAdapterF({ epochs: 30, batch: 30 }).fit({
    ...small,
    validation: undefined,
    threads: 1,
    onProgress: ({ note }) => losses.push(Number(/loss (.*)/.exec(note!)![1])),
  });
  assert.ok(losses.at(-1)! < 0.9 * losses[0]!, `${losses}`);
});

Deno.test("CLIP-Adapter with layers that pass everything on is zero-shot", async () => {
  const same = tensor("float32", [2, 2], [1, 0, 0, 1]);
  const adapter = clipAdapter({
    reduction: 1,
    initial: { down: same, up: same },
    epochs: 1,
    learningRate: 0,
    ratio: 0.7,
  });
  assertNear(await logitsOf(adapter, circle), [6, 8]);
  // a negative number is cut off: 0.7 · (0, 0.8) + 0.3 · (−0.6, 0.8) = (−0.18, 0.8), of length 0.82
  const left = tensor("float32", [1, 2], [-0.6, 0.8]);
  assertNear(await logitsOf(adapter, circle, left), [-1.8 / 0.82, 8 / 0.82]);
});

Deno.test("the linear probe's weights are C times the sum of residuals times features, where its gradient is zero", async () => {
  const { train, texts, classes, logitScale } = smallFeatures(2), c = 30;
  const adapter = linearProbe({ inverseStrength: c, tolerance: 1e-9, iterations: 1000 });
  await using fitted = await adapter.fit({ train, texts, classes, logitScale, threads: 1 });
  const scores = (await fitted.logits(train.features)).data, dimension = 16;
  const expected = new Float64Array(classes * dimension), residuals = new Float64Array(classes);
  train.labels.forEach((label, row) => {
    const own = scores.subarray(row * classes, (row + 1) * classes), sum = own.reduce((all, z) => all + Math.exp(z), 0);
    own.forEach((z, k) => {
      const residual = Number(k === label) - Math.exp(z) / sum;
      residuals[k] = residuals[k]! + residual;
      for (let d = 0; d < dimension; d++) {
        expected[k * dimension + d] = expected[k * dimension + d]! +
          c * residual * train.features.data[row * dimension + d]!;
      }
    });
  });
  assertNear([...fitted.linear!.weights.data], [...expected], 1e-3);
  assertNear([...residuals], [0, 0, 0, 0, 0]);
});

Deno.test("the first step of LP++ is the one worked out by hand from its first weights and step length", async () => {
  const { data } = circle.train.features, n = 4;
  const dot = (a: readonly number[], b: readonly number[]) => a[0]! * b[0]! + a[1]! * b[1]!;
  const rows = [0, 1, 2, 3].map((i) => [data[2 * i]!, data[2 * i + 1]!]);
  const first = [[1.4, 1.4], [-1.4, 1.4]], texts = [[1, 0], [0, 1]], alpha = 250 * 0.7; // mean of 0.7 and 0.7
  // Fᵀ F = [[2, 0], [0, 2]]: λ = 2
  const gradient = first.map((_, k) =>
    [0, 1].map((d) =>
      rows.reduce((sum, f, i) => {
        const z = first.map((w, j) => dot(f, [w[0]! + alpha * texts[j]![0]!, w[1]! + alpha * texts[j]![1]!]));
        const p = 1 / (1 + Math.exp(z[1 - k]! - z[k]!));
        return sum + (p - Number(circle.train.labels[i] === k)) * f[d]! / n;
      }, 0)
    )
  );
  const moved = first.map((w, k) => w.map((value, d) => value - 4 * n / 2 * gradient[k]![d]!));
  const expected = moved.map((w, k) => dot([0.6, 0.8], w) + alpha * dot([0.6, 0.8], texts[k]!));
  assertNear(await logitsOf(lpPlusPlus({ steps: 1, momentum: 0 }), circle), expected, 1e-3);
});

Deno.test("the order of the training pictures changes nothing where all are taken at once", async () => {
  const { train, texts, classes, logitScale, validation, test } = smallFeatures(3);
  const turned = takeRows(train, Random.seeded("order").shuffle(train.labels.keys()));
  const input = { texts, classes, logitScale, validation };
  for (const adapter of [zeroShot(), ...learners.slice(0, 5)]) {
    const [a, b] = [
      await logitsOf(adapter, { ...input, train }, test.features),
      await logitsOf(adapter, { ...input, train: turned }, test.features),
    ];
    assertNear(a, b, 2e-3 * Math.max(...a.map(Math.abs)));
  }
});

Deno.test("other names of the classes exchange the columns", async () => {
  const { train, texts, classes, logitScale, validation, test } = smallFeatures(4);
  const turn = (labels: Int32Array) => labels.map((label) => (label + 2) % classes);
  const renamed = ({ features, labels }: LabelledFeatures) => ({ features, labels: turn(labels) });
  const rows = (k: number) => [...texts.data.subarray(((k + 3) % classes) * 16, ((k + 3) % classes + 1) * 16)];
  const turned = tensor("float32", texts.shape, [0, 1, 2, 3, 4].flatMap(rows));
  for (const adapter of [zeroShot(), ...learners.slice(0, 5)]) {
    const a = await logitsOf(adapter, { train, texts, classes, logitScale, validation }, test.features);
    const b = await logitsOf(
      adapter,
      { train: renamed(train), texts: turned, classes, logitScale, validation: renamed(validation) },
      test.features,
    );
    const back = a.map((_, at) => b[Math.floor(at / classes) * classes + (at % classes + 2) % classes]!);
    assertNear(a, back, 2e-3 * Math.max(...a.map(Math.abs)));
  }
});

Deno.test("every adapter chooses by validation, is deterministic, and beats guessing by far", async () => {
  const { test, ...input } = smallFeatures(5);
  for (const adapter of learners) {
    await using fitted = await adapter.fit({ ...input, threads: 1 });
    const { data } = await fitted.logits(test.features);
    const right = test.labels.reduce((sum, label, i) => {
      const row = data.subarray(i * 5, (i + 1) * 5);
      return sum + Number(row.indexOf(Math.max(...row)) === label);
    }, 0);
    assert.ok(right / test.labels.length > 0.6, `${adapter.name}: ${right} of ${test.labels.length}`);
    assert.ok(fitted.tried.length > 1, adapter.name);
    const best = Math.max(...fitted.tried.map(({ top1 }) => top1));
    assert.ok(
      fitted.tried.some(({ settings, top1 }) =>
        Object.entries(fitted.chosen).every(([key, value]) => settings[key] === value) &&
        (top1 === best || settings.trained === 1)
      ),
      adapter.name,
    );
    assert.deepEqual(await logitsOf(adapter, input, test.features), [...data], adapter.name);
  }
});

Deno.test("wrong input is refused in one line that says what is wrong", async () => {
  const { train, texts, classes, logitScale } = circle;
  const input = { train, texts, classes, logitScale };
  const cases: [Partial<typeof input> & { validation?: LabelledFeatures }, RegExp][] = [
    [{ train: { ...train, labels: Int32Array.of(0, 0, 1, 2) } }, /train labels: expected 0 … 1, found 2 in row 3/],
    [{ train: { ...train, labels: Int32Array.of(0, 0, 1, -1) } }, /found -1 in row 3/],
    [{ train: { ...train, labels: Int32Array.of(0, 1) } }, /train labels: expected 4, one a row, found 2/],
    [{ train: takeRows(train, [0, 1]) }, /expected a picture of each of 2 classes, found none of class 1$/],
    [{ train: takeRows(train, []) }, /train: expected a picture, found none/],
    [{ train: labelled([[1, 0, 0], [0, 1, 0]], [0, 1]) }, /train features: expected \[N, 2\], found \[2, 3\]/],
    [
      { train: labelled([[1, 0], [NaN, 1]], [0, 1]) },
      /train features: expected numbers, found NaN or infinity in row 1/,
    ],
    [{ train: labelled([[1, 0], [3, 4]], [0, 1]) }, /expected rows of length 1, found length 5.000 in row 1/],
    [{ validation: labelled([[0, Infinity]], [0]) }, /validation features: .*row 0/],
    [{ validation: labelled([[0, 1]], [5]) }, /validation labels: expected 0 … 1, found 5/],
    [{ texts: tensor("float32", [1, 2], [1, 0]) }, /texts: expected \[2, D\], found \[1, 2\]/],
    [{ logitScale: 0 }, /expected a logit scale above 0, found 0/],
  ];
  for (const adapter of learners) {
    for (const [wrong, message] of cases) {
      await assert.rejects(adapter.fit({ ...input, ...wrong }), (error) => {
        assert.ok(error instanceof InputError && error.message.startsWith(`${adapter.name}: `), String(error));
        assert.match(error.message, message);
        return !error.message.includes("\n");
      });
    }
  }
  await using fitted = await gda().fit(input);
  assert.throws(() => fitted.logits(tensor("float32", [1, 3], [1, 0, 0])), /gda: features: expected \[N, 2\]/);
});

Deno.test("an aborted signal ends the fitting with its reason", async () => {
  const { test: _, ...input } = smallFeatures(6);
  for (const adapter of learners.slice(1)) {
    const signal = AbortSignal.abort(new Error("enough"));
    await assert.rejects(adapter.fit({ ...input, signal, threads: 1 }), /enough/, adapter.name);
  }
});
