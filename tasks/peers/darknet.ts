/** Imported Darknet networks beside the importer of OpenCV, run here on the weights and inputs of record_darknet.py. */

import { importDarknet } from "../../lib/models/mod.ts";
import { toModel } from "../../lib/onnx/mod.ts";
import { openSession, readJson, tensor, WorkError } from "../../lib/runtime/mod.ts";
import { type BenchRow, benchRow } from "../bench/row.ts";
import { command, peerPython } from "./python.ts";

// The 5 series of OpenCV reads no Darknet files.
const PACKAGES = ["opencv-python-headless==4.10.0.84", "numpy==2.4.6"];

/** What an output may differ by, relative to numbers above 1. */
const TOLERANCE = 1e-4;

interface Recorded {
  readonly cases: Record<string, { cfg: string; weights: string; input: string; output: string }>;
}

/** A row a network: the mean size of its outputs. Throws WorkError when an output differs, PeerMissing when there is no OpenCV. */
export async function compareDarknet(): Promise<BenchRow[]> {
  const python = await peerPython(PACKAGES);
  const file = await Deno.makeTempFile({ prefix: "pokedex-peers-", suffix: ".json" });
  try {
    const script = new URL("../../tests/peers/record_darknet.py", import.meta.url).pathname;
    await command(python, [script, file], "expected OpenCV to run");
    const rows: BenchRow[] = [];
    for (const [name, recorded] of Object.entries((await readJson(file) as Recorded).cases)) {
      const { graph } = importDarknet({ cfg: recorded.cfg, weights: Uint8Array.fromBase64(recorded.weights) });
      const [, ...size] = graph.inputs[0]!.shape as number[];
      await using session = await openSession(toModel(graph));
      const [output] = Object.values(
        await session.run({ images: tensor("float32", [1, ...size], floats(recorded.input)) }),
      );
      const found = output!.data as Float32Array, expected = floats(recorded.output);
      const difference = found.reduce(
        (most, value, i) => Math.max(most, Math.abs(value - expected[i]!) / Math.max(1, Math.abs(expected[i]!))),
        0,
      );
      if (found.length !== expected.length || !(difference < TOLERANCE)) {
        throw new WorkError(
          `${name}: expected outputs within ${TOLERANCE} of OpenCV's, found a difference of ${difference}`,
        );
      }
      console.error(`${name}: ${found.length} outputs, largest difference ${difference.toExponential(1)}`);
      const mean = (values: Float32Array) => values.reduce((sum, value) => sum + Math.abs(value), 0) / values.length;
      rows.push(benchRow("darknet", `${name}, mean size of an output`, "", mean(found), { opencv: mean(expected) }));
    }
    return rows;
  } finally {
    await Deno.remove(file);
  }
}

function floats(text: string): Float32Array {
  return new Float32Array(Uint8Array.fromBase64(text).buffer);
}
