/**
 * `deno run -A lib/onnx/ops/webgpu_operators.ts`: which operators ONNX Runtime's webgpu lacks for float32, so that it runs them on
 * the CPU. Each node of the operators' test cases is opened alone, without leave to fall back.
 */

import { openSession, Random } from "../../runtime/mod.ts";
import { Graph, knownOperators, type Node, toModel, type Value } from "../mod.ts";
import { CASES } from "./cases.ts";
import { assemble } from "./oracle.ts";

/** The node alone in a graph, what it reads as inputs; undefined where it is not of float32. */
function alone(node: Node): Graph | undefined {
  const floats = [...node.inputs, ...node.outputs].filter((value) => value?.type?.dtype.startsWith("float"));
  if (floats.length === 0 || floats.some((value) => value!.dtype !== "float32")) return undefined;
  const graph = new Graph("alone");
  const copies = new Map<Value, Value>();
  const copy = (value: Value): Value => {
    const known = copies.get(value);
    if (known) return known;
    const made = value.tensor
      ? graph.constant(value.tensor, { name: value.name })
      : graph.input(value.name, value.dtype, value.staticShape);
    copies.set(value, made);
    return made;
  };
  const outputs = graph.node(
    node.opType,
    node.inputs.map((input) => input && copy(input)),
    Object.fromEntries(node.attributes),
    { outputs: node.outputs.map((output) => output !== undefined), domain: node.domain },
  );
  for (const output of outputs) if (output) graph.output(output);
  return graph;
}

/** An elementwise operator on as many inputs as it takes. */
function elementwise(opType: string): Graph | undefined {
  for (const count of [1, 2, 3]) {
    const graph = new Graph("elementwise");
    const x = Array.from(
      { length: count },
      (_, i) => graph.input(`x${i}`, opType === "Where" && i === 0 ? "bool" : "float32", [2, 4, 8]),
    );
    try {
      const attributes = opType === "Cast" ? { to: 1 } : opType === "Mod" ? { fmod: 1 } : {};
      const [output] = graph.node(opType, x, attributes);
      graph.output(output!);
      return graph;
    } catch {
      // another number of inputs
    }
  }
  return undefined;
}

async function runs(graph: Graph): Promise<boolean> {
  try {
    await (await openSession(toModel(graph), { device: "webgpu", strict: true, optimization: "disabled" })).dispose();
    return true;
  } catch {
    return false;
  }
}

const there = new Set<string>(), lacking = new Set<string>();
const known = knownOperators();
const nodes = Object.entries(CASES).flatMap(([name, build]) =>
  [0, 1, 2].flatMap((seed) => assemble(build, Random.seeded(name, seed), false).graph.nodes)
);
for (const opType of known) {
  const graphs = nodes.filter((node) => node.opType === opType).map(alone);
  for (const graph of graphs.some((each) => each) ? graphs : [elementwise(opType)]) {
    if (!graph || there.has(opType)) continue;
    if (await runs(graph)) {
      there.add(opType);
      lacking.delete(opType);
    } else lacking.add(opType);
  }
}
const untried = known.filter((each) => !there.has(each) && !lacking.has(each));
console.log(JSON.stringify({ there: [...there].sort(), lacking: [...lacking].sort(), untried }));
Deno.exit(0); // Dawn keeps its threads
