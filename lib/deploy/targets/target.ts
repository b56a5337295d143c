/** What each target is given, and what it gives. */

import type { ModelCard } from "../../experiment/mod.ts";
import type { TargetFile } from "./manifest.ts";

/** What a target's package is made of. */
export interface TargetInput {
  /** The model with "probabilities" alone and a batch that may vary. */
  readonly model: Uint8Array<ArrayBuffer>;
  /** The file that it comes from, for messages. */
  readonly path: string;
  readonly card: ModelCard;
  /** The text of `classes.txt`. */
  readonly names: string;
  readonly selfTest: readonly TargetFile[];
  readonly version: number;
  /** Pictures in a run, where a target wants it fixed. */
  readonly batch: number;
  /** How the weights are to lie in the file; undefined: as they do. */
  readonly weights: ModelCard["weights"] | undefined;
  /** Bytes that a browser's model may have. */
  readonly budget: number;
  /** Of the key that signs. */
  readonly publicKey: string | undefined;
  /** Where devices look for updates. */
  readonly updateUrl: string | undefined;
}

/** A target's own files; the others are common to all. */
export interface TargetContent {
  readonly files: readonly TargetFile[];
  /** The oldest runner that can run these files; 0 where none is installed apart. */
  readonly minimumRunner: number;
  /** The README up to what the model expects. */
  readonly readme: string;
}
