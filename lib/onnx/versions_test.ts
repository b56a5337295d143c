/** Opsets: a graph written at any opset computes the same, and is the same again when it is read. */

import assert from "node:assert/strict";
import { openSession, Random, type Tensor, toNumbers } from "../runtime/mod.ts";
import { OnnxError } from "./errors.ts";
import { Graph } from "./graph.ts";
import { CASES } from "./ops/cases.ts";
import * as ops from "./ops/mod.ts";
import { assemble, type Build } from "./ops/oracle.ts";
import { fromModel } from "./read.ts";
import { irVersionOf, toModel } from "./write.ts";

const FURTHER: Record<string, Build> = {
  activations: ({ input, int }) => {
    const x = input([2, 3, 4]);
    return [
      ops.gelu(x),
      ops.gelu(x, { approximate: "tanh" }),
      ops.mish(x),
      ops.hardSwish(x),
      ops.softmax(x, { axis: int(0, 2) }),
      ops.logSoftmax(x, { axis: int(-3, -1) }),
      ops.clip(x, -1, 1),
    ];
  },
  GroupNormalization: ({ input, fixed }) => ops.groupNormalization(input([2, 6, 3, 4]), 3, fixed([6]), fixed([6])),
};

async function run(bytes: Uint8Array, feeds: Record<string, Tensor>, name: string): Promise<Record<string, Tensor>> {
  await using session = await openSession(bytes, { threads: 1, name, optimization: "basic" });
  return await session.run(feeds);
}

function assertClose(found: Record<string, Tensor>, expected: Record<string, Tensor>, place: string): void {
  assert.deepEqual(Object.keys(found), Object.keys(expected), place);
  for (const [name, tensor] of Object.entries(expected)) {
    assert.equal(found[name]!.dtype, tensor.dtype, `${place}: ${name}`);
    assert.deepEqual(found[name]!.shape, tensor.shape, `${place}: ${name}`);
    const numbers = toNumbers(found[name]!);
    toNumbers(tensor).forEach((x, i) => {
      const y = numbers[i]!;
      const close = Object.is(x, y) || Math.abs(x - y) <= 1e-4 * (1 + Math.abs(x));
      assert.ok(close, `${place}: ${name}[${i}]: expected ${x}, found ${y}`);
    });
  }
}

/** What has no form at an older opset; everything else must be written. */
const IMPOSSIBLE: Record<number, RegExp> = {
  12: /training mode|scale for each channel|which begins at opset 1[46]/,
  13: /training mode|which begins at opset 1[46]/,
  15: /which begins at opset 16/,
};

for (const opset of [12, 13, 15, 18, 20, 22]) {
  Deno.test(`a graph written at opset ${opset} computes the same, and again when read and written at 17`, async () => {
    let written = 0;
    for (const [name, build] of Object.entries({ ...CASES, ...FURTHER })) {
      if (name === "Dropout") continue; // draws other numbers in each session
      for (const symbolic of [false, true]) {
        const { graph, feeds } = assemble(build, Random.seeded(name, opset), symbolic);
        const place = `${name}, opset ${opset}`;
        let bytes: Uint8Array;
        try {
          bytes = toModel(graph, { opset });
        } catch (error) {
          assert.ok(error instanceof OnnxError && IMPOSSIBLE[opset]?.test(error.message), `${place}: ${error}`);
          continue;
        }
        written++;
        const expected = await run(toModel(graph), feeds, name);
        assertClose(await run(bytes, feeds, place), expected, place);
        const again = fromModel(bytes, { name: place });
        assert.deepEqual(again.inputs.map(String), graph.inputs.map(String));
        assertClose(await run(toModel(again), feeds, place), expected, `${place}, read again`);
      }
    }
    assert.ok(written > 50, `${written} graphs were written`);
  });
}

Deno.test("an operator that an opset does not have is refused by name", () => {
  const graph = new Graph();
  const x = graph.input("x", "float32", [1, 2, 4, 4]), grid = graph.input("grid", "float32", [1, 3, 3, 2]);
  graph.output(ops.gridSample(x, grid, { name: "warp" }));
  assert.throws(() => toModel(graph, { opset: 12 }), {
    name: "OnnxError",
    message: `GridSample "warp": expected a form that opset 12 has, found GridSample, which begins at opset 16`,
  });
  assert.throws(() => toModel(graph, { opset: 11 }), { message: /expected an opset in 12 … 22, found 11/ });
});

Deno.test("IR versions are those that came with the opsets", () => {
  const table = { 12: 7, 14: 7, 15: 8, 17: 8, 18: 8, 19: 9, 20: 9, 21: 10, 22: 10 };
  for (const [opset, ir] of Object.entries(table)) assert.equal(irVersionOf(Number(opset)), ir);
});
