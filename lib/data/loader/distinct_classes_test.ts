import assert from "node:assert/strict";
import { InputError, Random } from "../../runtime/mod.ts";
import { distinctClasses } from "./distinct_classes.ts";

const labels = Array.from({ length: 203 }, (_, i) => i % 7 === 0 ? 0 : i % 11);

Deno.test("no class comes twice in a batch, each comes as often as others, in another order each epoch", () => {
  const batch = 4, sampler = distinctClasses({ batch });
  const order = [...sampler(labels, Random.seeded("order", 0)) as Uint32Array];
  assert.equal(order.length, 200);
  const counts = new Map<number, number>();
  for (let at = 0; at < order.length; at += batch) {
    const drawn = order.slice(at, at + batch).map((index) => labels[index]!);
    assert.equal(new Set(drawn).size, batch, String(drawn));
    for (const label of drawn) counts.set(label, (counts.get(label) ?? 0) + 1);
  }
  assert.equal(counts.size, 11);
  const often = [...counts.values()];
  assert.ok(Math.max(...often) - Math.min(...often) <= 2, String(often));
  assert.notDeepEqual(order, [...sampler(labels, Random.seeded("order", 1)) as Uint32Array]);
});

Deno.test("a batch of as many pictures as there are classes holds each once; a larger one is refused", () => {
  const order = [...distinctClasses({ batch: 11 })(labels, Random.seeded("order")) as Uint32Array];
  for (let at = 0; at < order.length; at += 11) {
    assert.equal(new Set(order.slice(at, at + 11).map((index) => labels[index])).size, 11);
  }
  assert.throws(() => distinctClasses({ batch: 12 })(labels, Random.seeded("order")), InputError);
});
