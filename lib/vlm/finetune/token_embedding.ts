/** Where a text tower turns token ids into vectors, found by the structure of its graph. */

import type { Node, Value } from "../../onnx/mod.ts";
import { InputError } from "../../runtime/mod.ts";
import type { Tower } from "./tower.ts";

/** Operators that hand on the ids themselves. */
const CARRIERS = ["Cast", "Reshape", "Identity", "Squeeze", "Unsqueeze", "Flatten"];

/** The look-up of the tokens' vectors. */
export interface TokenEmbedding {
  /** The Gather. */
  readonly node: Node;
  /** [words, W]. */
  readonly table: Value;
  /** What it gives: [N, T, W]. */
  readonly embedded: Value;
  /** W. */
  readonly width: number;
}

/**
 * The Gather of the largest table by the token ids: their own elements, not sizes taken of them, as positions are looked up by.
 * Throws InputError when there is none, or when it does not give one vector a token.
 */
export function findTokenEmbedding(tower: Tower): TokenEmbedding {
  const { graph, input, place } = tower;
  const ids = new Set<Value>([input]);
  let best: Node | undefined;
  const sizeOf = (node: Node) => node.input(0).tensor!.data.length;
  for (const node of graph.nodes) {
    if (node.domain !== "") continue;
    if (CARRIERS.includes(node.opType) && ids.has(node.input(0))) ids.add(node.output());
    if (node.opType !== "Gather" || !ids.has(node.input(1)) || node.int("axis") !== 0) continue;
    const { tensor } = node.input(0);
    if (tensor?.shape.length !== 2 || tensor.dtype !== "float32") continue;
    if (!best || sizeOf(node) > sizeOf(best)) best = node;
  }
  if (!best) {
    throw new InputError(
      `${place}: expected a Gather of a float32 table of vectors by "${input.name}", found none among its ` +
        `${graph.nodes.length} nodes`,
    );
  }
  const embedded = best.output();
  if (embedded.rank !== 3) throw new InputError(`${place}: expected token vectors [N, T, W], found ${embedded}`);
  return { node: best, table: best.input(0), embedded, width: best.input(0).staticShape[1]! };
}
