/** For tests only: a picture network, a CLIP-shaped image tower and a fusion of a few thousand random weights. */

import { residualNet } from "../../models/mod.ts";
import { add, conv, flatten, gelu, Graph, matMul } from "../../onnx/mod.ts";
import { Random, tensor } from "../../runtime/mod.ts";
import type { Encoder } from "../../vlm/mod.ts";
import { fusionGraph } from "./classifier.ts";
import type { FusionConfig } from "./config.ts";
import type { JoinedGraphOptions } from "./joined_graph.ts";

/** Sides of the pictures and of the tower's input, numbers of the tower's embedding. */
export const PICTURE = 32, TOWER = 16, EMBEDDED = 5;

/** Patches of 4 x 4 pixels, projected twice: [N, 3, 16, 16] → "image_embeds" [N, 5]. No weight is marked, as in a file from elsewhere. */
export function smallTower(): Graph {
  const graph = new Graph("vision_model"), random = Random.seeded("tower");
  const weight = (name: string, ...shape: number[]) =>
    graph.constant(
      tensor(
        "float32",
        shape,
        Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () => random.normal(0, 0.3)),
      ),
      { name },
    );
  const pixels = graph.input("pixel_values", "float32", ["batch", 3, TOWER, TOWER]);
  const patches = gelu(flatten(conv(pixels, weight("patch", 4, 3, 4, 4), { strides: 4 })));
  graph.output(
    add(matMul(patches, weight("projection", 64, EMBEDDED)), weight("shift", EMBEDDED)),
    "image_embeds",
  );
  return graph;
}

/** Backbone and tower, as `joinedGraph` takes them. */
export function smallNetworks(): Pick<JoinedGraphOptions, "backbone" | "tower"> & { readonly size: number } {
  const { graph } = residualNet({ classes: 3, size: PICTURE, width: 0.125, random: Random.seeded("backbone") });
  return {
    backbone: { source: graph },
    tower: {
      source: smallTower(),
      preprocessing: { size: TOWER, kernel: "bilinear", mean: [0.5, 0.4, 0.3], std: [0.25, 0.5, 0.2] },
    },
    size: PICTURE,
  };
}

/** A fusion of features of these widths with fresh weights; inputs as they are. */
export function freshFusion(config: FusionConfig, widths: readonly number[], classes: number): Graph {
  const ones = (width: number) => ({
    mean: tensor("float32", [width], new Array(width).fill(0)),
    deviation: tensor("float32", [width], new Array(width).fill(1)),
  });
  const visual = widths.map(ones), embedding = ones(EMBEDDED);
  return fusionGraph({ config, moments: { visual, embedding }, classes, seed: 1 });
}

/** Embeds a picture as the mean of its red, green and blue, and a text as white; both of length 1. */
export const colourEncoder: Encoder = {
  ...{ name: "colours", identity: "e".repeat(64), dimension: 3, logitScale: 1 },
  preprocessing: {
    ...{ size: 32, resize: "exact", kernel: "bilinear", view: "picture", background: [0, 0, 0] },
    ...{ mean: [0, 0, 0], std: [1, 1, 1] },
  },
  embedImages: (pictures) =>
    Promise.resolve(tensor(
      "float32",
      [pictures.length, 3],
      pictures.flatMap(({ data }) => {
        const means = [0, 1, 2].map((c) => data.reduce((sum, value, i) => sum + (i % 4 === c ? value : 0), 1));
        return means.map((value) => value / Math.hypot(...means));
      }),
    )),
  embedTexts: (texts) =>
    Promise.resolve(tensor("float32", [texts.length, 3], new Array(3 * texts.length).fill(Math.sqrt(1 / 3)))),
  [Symbol.asyncDispose]: () => Promise.resolve(),
};
