/** Loss curves of small networks beside PyTorch's, which exports them and trains them from the same weights and batches. */

import { WorkError } from "../../lib/runtime/mod.ts";
import { largestDifference, type OptimizerName, ourLosses, readRecording } from "../../tests/train/recorded.ts";
import { type BenchRow, benchRow } from "../bench/row.ts";
import { command, peerPython } from "./python.ts";

const PACKAGES = ["torch==2.13.0", "numpy==2.4.6", "onnx==1.23.2", "onnxscript==0.7.2"];

/** What the curves may differ by, relative, in any of the steps. */
const TOLERANCE = 1e-3;

/**
 * A row a network and optimizer: the last loss of both sides. Throws WorkError when the curves differ by more than 1e-3,
 * PeerMissing when there is no PyTorch to be had.
 */
export async function compareLossCurves(steps = 50): Promise<BenchRow[]> {
  // A Python that has PyTorch already, as for the benchmark of training.
  const python = Deno.env.get("POKEDEX_PYTHON") ?? await peerPython(PACKAGES);
  const folder = await Deno.makeTempDir({ prefix: "pokedex-peers-" });
  try {
    const script = new URL("../../tests/peers/record_curves.py", import.meta.url).pathname;
    await command(python, [script, folder, String(steps)], "expected PyTorch to train");
    const rows: BenchRow[] = [];
    for (const [name, network] of Object.entries(await readRecording(folder))) {
      for (const [optimizer, expected] of Object.entries(network.losses)) {
        const found = await ourLosses(name, network, optimizer as OptimizerName, folder);
        const difference = largestDifference(found, expected);
        if (!(difference < TOLERANCE)) {
          throw new WorkError(
            `${name} with ${optimizer}: expected losses within ${TOLERANCE} of PyTorch's, found a difference of ${difference}`,
          );
        }
        console.error(
          `${name} with ${optimizer}: ${steps} losses, largest relative difference ${difference.toExponential(1)}`,
        );
        const title = `${name} with ${optimizer}, loss of step ${steps}`;
        rows.push(benchRow("curves", title, "nats", found.at(-1)!, { pytorch: expected.at(-1)! }));
      }
    }
    return rows;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
