/** For tests: a small untrained classifier as a package, and pictures to ask it about. */

import { join } from "node:path";
import sharp from "sharp";
import { writePackage } from "../../experiment/mod.ts";
import { conv, flatten, gemm, globalAveragePool, Graph, relu, softmax, toModel, type Value } from "../../onnx/mod.ts";
import { Random } from "../../runtime/mod.ts";
import { species } from "../../species/mod.ts";

/** Side of the input, and how many species the classifier knows. */
export const SIZE = 24, CLASSES = 12;

/** The network: a convolution, and a decision by its mean; the weights are drawn. */
export function smallNetwork(side: number | string = SIZE): Graph {
  const random = Random.seeded("small classifier"), graph = new Graph("small");
  const drawn = (name: string, shape: readonly number[], by: number) =>
    graph.parameter(name, {
      shape,
      init: (s) => Float32Array.from({ length: s.reduce((a, b) => a * b) }, () => by * random.normal()),
    });
  const images: Value = graph.input("images", "float32", ["N", 3, side, side]);
  const maps = relu(conv(images, drawn("conv.weight", [32, 3, 5, 5], 0.3), { pads: 2, strides: 2 }));
  const features = flatten(globalAveragePool(maps));
  const logits = gemm(features, drawn("fc.weight", [CLASSES, 32], 0.5), drawn("fc.bias", [CLASSES], 0.1), {
    transB: true,
  });
  graph.output(softmax(logits), "probabilities");
  return graph;
}

/** Writes the classifier's package. */
export async function smallPackage(folder: string, name = "small"): Promise<string> {
  const place = join(folder, name), figures = { train: 0, validation: 0, test: 0 };
  await writePackage(place, {
    model: toModel(smallNetwork()),
    classes: species.slice(0, CLASSES),
    card: {
      name,
      about: "A classifier that learned nothing.",
      input: {
        ...{ name: "images", layout: "NCHW", size: SIZE, channels: "RGB", mean: [0, 0, 0], std: [1, 1, 1] },
        ...{ fit: "letterbox", view: "content", background: [114, 114, 114] },
      },
      outputs: { probabilities: "probabilities" },
      decode: { family: "small", classProbabilities: "softmax", how: "softmax", heads: [] },
      temperature: 0.7,
      trainedOn: {
        ...{ run: "none", profile: "smoke", seed: 1, sources: ["none"], split: "as built", background: "fixed" },
        ...{ boxes: "frame", pictures: figures, pretrained: "none", epochs: 0, steps: 0, weights: "current" },
        ...{ configHash: "0", commit: null, date: "2026-01-02" },
      },
      metrics: {},
    },
  });
  return place;
}

/** Pictures of several formats, sizes and transparencies; their files. */
export async function drawPictures(folder: string): Promise<string[]> {
  await Deno.mkdir(folder, { recursive: true });
  return await Promise.all([[40, 40], [300, 180], [90, 500], [24, 24], [640, 480], [61, 33]].map(async ([w, h], n) => {
    const random = Random.seeded("picture", n);
    const shapes = Array.from({ length: 6 }, () => {
      const hue = (60 * n + random.int(60)) % 360;
      return `<circle cx="${random.int(w!)}" cy="${random.int(h!)}" r="${
        4 + random.int(w! >> 2)
      }" fill="hsl(${hue} 80% 50%)"/>`;
    });
    const svg = new TextEncoder().encode(`<svg width="${w}" height="${h}">${shapes.join("")}</svg>`);
    const path = join(folder, `${n}.${n % 3 === 1 ? "jpg" : "png"}`);
    await (n % 3 === 1 ? sharp(svg).flatten({ background: "#8ac" }).jpeg() : sharp(svg).png()).toFile(path);
    return path;
  }));
}
