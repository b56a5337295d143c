/**
 * `deno task peers [pillow|curves|clip|darknet|coco|pytorch|yolo|adapters|quantization|k210|tflite]`: comparisons with other programs. Says what it skips and why.
 */

import { describeError } from "../lib/runtime/mod.ts";
import { runComparisons } from "./bench/command.ts";
import { PeerMissing } from "./peers/python.ts";

await runComparisons({
  usage: "deno task peers",
  about:
    "Compares with other programs. Needs what each of them needs, e.g. Python 3 and a package index for a private " +
    "environment in .venv-peers.",
  byName: {
    pillow: async (options) => (await import("./peers/pillow.ts")).comparePillow(options),
    curves: async () => (await import("./peers/loss_curves.ts")).compareLossCurves(),
    clip: async () => (await import("./peers/clip.ts")).compareClips(),
    darknet: async () => (await import("./peers/darknet.ts")).compareDarknet(),
    yolo: async () => (await import("./peers/yolo.ts")).compareYolo(),
    adapters: async () => (await import("./peers/adapters.ts")).compareAdapters(),
    k210: async () => (await import("./peers/k210.ts")).compareK210(),
    tflite: async () => (await import("./peers/tflite.ts")).compareTflite(),
    coco: async () => (await import("./peers/coco.ts")).compareCoco(),
    quantization: async () => (await import("./peers/quantization.ts")).compareQuantization(),
    pytorch: async ({ onProgress }) => (await import("./peers/pytorch.ts")).comparePytorch({ onProgress }),
  },
  skipReason: (error) => error instanceof PeerMissing ? describeError(error) : undefined,
});
