/** Gradients of exported CLIPs beside autograd's: transformers' and openai's, each by both of PyTorch's exporters. */

import { WorkError } from "../../lib/runtime/mod.ts";
import { compareClip, readClipRecording } from "../../tests/vlm/recorded_clip.ts";
import { type BenchRow, benchRow } from "../bench/row.ts";
import { command, peerPython } from "./python.ts";

const PACKAGES = [
  "torch==2.13.0",
  "numpy==2.4.6",
  "onnx==1.23.2",
  "onnxscript==0.7.2",
  "safetensors==0.8.0",
  "transformers==5.24.0",
];

/** What a weight's gradient may differ by, relative to its length. */
const TOLERANCE = 1e-4;

/**
 * A row a CLIP: the loss of both sides. Throws WorkError when the gradient of any weight differs by more than 1e-4, PeerMissing
 * when there is no PyTorch to be had.
 */
export async function compareClips(): Promise<BenchRow[]> {
  const python = Deno.env.get("POKEDEX_PYTHON") ?? await peerPython(PACKAGES);
  const folder = await Deno.makeTempDir({ prefix: "pokedex-peers-" });
  try {
    const script = new URL("../../tests/peers/record_clip.py", import.meta.url).pathname;
    await command(python, [script, folder, "all"], "expected PyTorch to export a CLIP");
    const recording = await readClipRecording(folder);
    const rows: BenchRow[] = [];
    for (const name of Object.keys(recording.networks)) {
      const { loss, expectedLoss, gradients, overlooked } = await compareClip(name, recording, { folder });
      const [worst, difference] = Object.entries(gradients).reduce((a, b) => a[1] >= b[1] ? a : b);
      if (!(difference < TOLERANCE) || overlooked.length > 0) {
        throw new WorkError(
          `${name}: expected autograd's gradients within ${TOLERANCE}, found ${worst} off by ${difference}` +
            (overlooked.length > 0 ? ` and ${overlooked.join(", ")} not taken for weights` : ""),
        );
      }
      console.error(
        `${name}: gradients of ${Object.keys(gradients).length} weights, largest relative difference ` +
          `${difference.toExponential(1)} (${worst})`,
      );
      rows.push(benchRow("clip", `${name}, loss`, "nats", loss, { pytorch: expectedLoss }));
    }
    return rows;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
