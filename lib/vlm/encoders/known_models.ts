/** Models of the Hub that are known to fit, and how to take them. */

/** Precisions by the names that transformers.js has for them. */
export const precisions = ["fp32", "fp16", "q8", "int8", "uint8", "q4", "q4f16", "bnb4"] as const;

/** How the weights of an ONNX file are stored. */
export type Precision = typeof precisions[number];

/** What a precision adds to a file's name before ".onnx". */
export function precisionSuffix(precision: Precision): string {
  return precision === "fp32" ? "" : precision === "q8" ? "_quantized" : `_${precision}`;
}

/** How a model of the Hub is taken unless told otherwise. */
export interface KnownModel {
  /** A branch: the commit that it stands at is told by the encoder's `revision` once it is downloaded. */
  readonly revision: string;
  readonly precision: Precision;
  /** What cosines were multiplied by when the training ended, where it was published. */
  readonly logitScale?: number;
  readonly note: string;
}

/** What is opened when no model is named. */
export const defaultModel = "Xenova/clip-vit-base-patch32";

/** By "OWNER/NAME". No commit is pinned: none could be looked up without the Hub, and a guessed one would be refused. */
export const knownModels: Readonly<Record<string, KnownModel>> = {
  "Xenova/clip-vit-base-patch32": {
    revision: "main",
    precision: "fp32",
    logitScale: 100,
    note: "CLIP ViT-B/32 (Radford et al. 2021), 224 px, 512 numbers; the paper clips the scale at 100, where it ended",
  },
  "Xenova/mobileclip_s0": {
    revision: "main",
    precision: "fp32",
    note: "MobileCLIP-S0 (Vasu et al. 2024), 256 px, 512 numbers; its q8 file is reported broken",
  },
  "onnx-community/siglip2-base-patch16-224-ONNX": {
    revision: "main",
    precision: "fp32",
    note: "SigLIP 2 B/16 (Tschannen et al. 2025), 224 px, 768 numbers",
  },
};
