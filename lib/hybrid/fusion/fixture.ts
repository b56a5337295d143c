/** For tests only: made-up features of which each modality knows one half of the classes, and small settings. */

import { Random, tensor } from "../../runtime/mod.ts";
import { type FusionConfig, fusionConfigSchema } from "./config.ts";
import type { HybridFeatures } from "./features.ts";

/** Eight species of several types and generations: what the classes of the made-up features stand for. */
export const DEX = [1, 4, 7, 25, 152, 155, 252, 387];

/** Widths of the three visual scales, and of the embedding. */
export const WIDTHS = [4, 6, 8], DIMENSION = 10;

/** Centres of the classes, the same for all splits. */
const centres = (classes: number, width: number, name: string) => {
  const random = Random.seeded("centres", name);
  return Array.from({ length: classes }, () => Array.from({ length: width }, () => random.normal()));
};

/**
 * Features of `perClass` pictures of each of eight classes. The visual ones lie around a centre of their class where it is below 4, the
 * embedding where it is not; of the other classes a modality has noise around one common centre: it cannot tell them apart.
 */
export function madeUp(name: string, { perClass = 24, noise = 0.35 } = {}): HybridFeatures {
  const classes = DEX.length, n = classes * perClass, random = Random.seeded("made up", name);
  const labels = Int32Array.from({ length: n }, (_, i) => i % classes);
  const drawn = (width: number, modality: string, knows: (label: number) => boolean) => {
    const own = centres(classes, width, modality), common = centres(1, width, `${modality} common`)[0]!;
    const data = new Float32Array(n * width);
    labels.forEach((label, row) => {
      const centre = knows(label) ? own[label]! : common;
      for (let i = 0; i < width; i++) data[row * width + i] = 3 + 2 * (centre[i]! + random.normal(0, noise));
    });
    return tensor("float32", [n, width], data);
  };
  return {
    visual: WIDTHS.map((width, scale) => drawn(width, `scale ${scale}`, (label) => label < classes / 2)),
    embedding: drawn(DIMENSION, "embedding", (label) => label >= classes / 2),
    ...{ labels, dex: DEX, pictures: Array.from(labels, (_, i) => `${name}-${i}`), split: { name, hash: "made up" } },
    models: {
      visual: { name: "net", identity: "a".repeat(64) },
      embedding: { name: "clip", identity: "b".repeat(64) },
    },
  };
}

/** One text embedding a class: the centre of its pictures where the embedding knows it. */
export function madeUpPrototypes() {
  const own = centres(DEX.length, DIMENSION, "embedding");
  return tensor("float32", [DEX.length, DIMENSION], Float32Array.from(own.flat(), (value) => 3 + 2 * value));
}

/** Settings of a fusion that takes about a second. */
export function smallConfig(
  fusion: Partial<FusionConfig["fusion"]> = {},
  { tasks = {}, training = {} }: {
    readonly tasks?: Partial<FusionConfig["tasks"]>;
    readonly training?: Record<string, unknown>;
  } = {},
): FusionConfig {
  const part = {
    optimizer: { name: "adamw", weightDecay: 0.01 },
    schedule: { kind: "cosine", learningRate: 0.01 },
    training: { epochs: 12, batch: 32, monitor: "nll", validateEvery: 3, ...training },
  };
  return fusionConfigSchema.parse({
    kind: "fusion",
    name: "small",
    fusion: { kind: "gated", width: 16, heads: 2, dropout: 0.1, ...fusion },
    tasks: { ...tasks },
    ...{ frozen: part, unfrozen: part },
  });
}
