/** Static quantization beside onnxruntime.quantization: the same small network and pictures, every range, scale and whole number. */

import { join } from "node:path";
import { toFile } from "../../lib/onnx/mod.ts";
import { readJson, WorkError, writeAtomic } from "../../lib/runtime/mod.ts";
import {
  BATCHES,
  distanceTo,
  type PythonQuantization,
  smallNetwork,
  smallPictures,
} from "../../tests/deploy/quantization_case.ts";
import { type BenchRow, benchRow } from "../bench/row.ts";
import { command, peerPython } from "./python.ts";

const PACKAGES = ["numpy==2.4.6", "onnx==1.23.2", "onnxruntime==1.32.0"];

/** What ranges and scales may differ by, relative. */
const TOLERANCE = 1e-5;

/** What ranges by entropy may differ by: a few bins, see `Distance.entropy`. */
const ENTROPY_TOLERANCE = 0.05;

/** Where the tests find what Python gave for the first seed. */
const FIXTURE = new URL("../../tests/fixtures/deploy/quantization.json", import.meta.url).pathname;

/**
 * Networks and pictures of some seeds. Throws WorkError where a range or scale differs by more than 1e-5 (by entropy: 0.05) or a
 * whole number by more than 1, PeerMissing when there is no onnxruntime for Python to be had. With `record` what it gave for the first seed is kept for
 * the tests.
 */
export async function compareQuantization(
  { seeds = [1, 2, 3], record = false }: { readonly seeds?: readonly number[]; readonly record?: boolean } = {},
): Promise<BenchRow[]> {
  const python = Deno.env.get("POKEDEX_PYTHON") ?? await peerPython(PACKAGES);
  const script = new URL("../../tests/peers/quantization.py", import.meta.url).pathname;
  const folder = await Deno.makeTempDir({ prefix: "pokedex-peers-" }), rows: BenchRow[] = [];
  try {
    for (const [i, seed] of seeds.entries()) {
      const model = join(folder, "model.onnx"),
        images = join(folder, "images.f32"),
        result = join(folder, "result.json");
      await toFile(smallNetwork(seed), model, { valueInfo: true });
      const pictures = smallPictures(seed).map(({ images }) => images.data as Float32Array<ArrayBuffer>);
      await Deno.writeFile(images, new Uint8Array(await new Blob(pictures).arrayBuffer()));
      await command(
        python,
        [script, model, images, String(BATCHES), result],
        "expected onnxruntime.quantization to run",
      );
      const theirs = await readJson(result) as PythonQuantization;
      if (record && i === 0) await writeAtomic(FIXTURE, JSON.stringify({ seed, ...theirs }) + "\n");
      const { ranges, entropy, scales, wholes, compared } = await distanceTo(theirs, seed);
      console.error(
        `quantization, seed ${seed}: ${compared} figures, ranges ${ranges.toExponential(1)} (entropy ${
          entropy.toExponential(1)
        }), scales ` +
          `${scales.toExponential(1)}, whole numbers ${wholes} apart at most`,
      );
      if (!(ranges < TOLERANCE && entropy < ENTROPY_TOLERANCE && scales < TOLERANCE && wholes <= 1)) {
        throw new WorkError(
          `quantization, seed ${seed}: expected ranges and scales within ${TOLERANCE} and whole numbers within 1 of ` +
            `onnxruntime ${theirs.onnxruntime}'s, found ${ranges} (entropy ${entropy}), ${scales} and ${wholes}`,
        );
      }
      rows.push(
        benchRow("quantization", `figures that agree, seed ${seed}`, "figures", compared, { onnxruntime: compared }),
      );
    }
    return rows;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
