/** Training steps beside PyTorch's, installed for it; `bench train` in full. */

import type { ProgressListener } from "../../lib/runtime/mod.ts";
import { PytorchPeer } from "../bench/pytorch_steps.ts";
import { benchTrain } from "../bench/train.ts";
import type { BenchRow } from "../bench/row.ts";
import { PeerMissing, peerPython } from "./python.ts";

const PACKAGES = ["torch==2.13.0", "numpy==2.4.6"];

/** Throws PeerMissing when there is no PyTorch to be had. */
export async function comparePytorch({ onProgress }: { onProgress: ProgressListener }): Promise<BenchRow[]> {
  const python = Deno.env.get("POKEDEX_PYTHON") ?? await peerPython(PACKAGES);
  {
    await using peer = await PytorchPeer.start(python, 1);
    if (!peer) throw new PeerMissing(`expected Python with PyTorch, found none in ${python}`);
  }
  return await benchTrain({ python, onProgress });
}
