/** How near embeddings lie to each other. */

import { Graph, matMul, toModel, transpose } from "../onnx/mod.ts";
import { InputError, openSession, type Tensor, tensor } from "../runtime/mod.ts";

/** Opens a session for products of matrices of width `columns`, and of nothing else. */
function product(columns: number): Uint8Array {
  const graph = new Graph("cosines");
  const a = graph.input("a", "float32", ["N", columns]), b = graph.input("b", "float32", ["M", columns]);
  graph.output(matMul(a, transpose(b, [1, 0])), "products");
  return toModel(graph);
}

/** Numbers of a result of `cosines` at most: 800 MB. */
const MOST = 200_000_000;

/**
 * The products of all rows of `a` [N, D] with all rows of `b` [M, D], [N, M]: of rows of length 1 the cosines of their angles. Throws
 * InputError for other shapes, and where the result would be too large for memory.
 */
export async function cosines(a: Tensor<"float32">, b: Tensor<"float32">): Promise<Tensor<"float32">> {
  const [n, width] = a.shape as [number, number], [m, other] = b.shape as [number, number];
  if (a.shape.length !== 2 || b.shape.length !== 2 || width !== other) {
    throw new InputError(`cosines: expected embeddings of one width, found [${a.shape}] and [${b.shape}]`);
  }
  if (n * m > MOST) throw new InputError(`cosines: expected at most ${MOST} pairs, found ${n} x ${m}`);
  if (n === 0 || m === 0) return tensor("float32", [n, m], new Float32Array(0));
  await using session = await openSession(product(width), { name: "cosines" });
  const { products } = await session.run({ a, b });
  return products as Tensor<"float32">;
}

/** Brings every row of [N, D] to length 1, in place. A row of zeros stays. */
export function normalizeRows(rows: Tensor<"float32">): Tensor<"float32"> {
  const [n, width] = rows.shape as [number, number], { data } = rows;
  for (let row = 0; row < n; row++) {
    const own = data.subarray(row * width, (row + 1) * width);
    const length = Math.hypot(...own);
    if (length > 0) { for (let i = 0; i < width; i++) own[i]! /= length; }
  }
  return rows;
}
