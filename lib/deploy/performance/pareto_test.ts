import assert from "node:assert/strict";
import { paretoFront } from "./pareto.ts";

Deno.test("only what no other beats in cost or worth without losing in the other stays, equals together", () => {
  const choice = (name: string, cost: number, worth: number) => ({ name, cost, worth });
  const front = paretoFront([
    choice("dear and good", 9, 9),
    choice("dear and bad", 9, 3),
    choice("cheap", 1, 2),
    choice("middle", 4, 5),
    choice("its equal", 4, 5),
    choice("as good, dearer", 5, 5),
    choice("as cheap, worse", 1, 1),
  ]);
  assert.deepEqual(front.map(({ name }) => name), ["cheap", "middle", "its equal", "dear and good"]);
  assert.deepEqual(paretoFront([]), []);
});
