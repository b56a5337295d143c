/** How a picture becomes a model's input and its output an answer, as a file for runners and as text for people. */

import type { ModelCard } from "../../experiment/mod.ts";

/** What `preprocessing.json` holds. */
export interface TargetPreprocessing {
  readonly format: "pokedex-preprocessing-1";
  readonly input: {
    readonly name: string;
    readonly shape: readonly ["batch", 3, number, number];
    readonly layout: "NCHW";
    readonly channels: "RGB";
    readonly dtype: "float32";
    readonly size: number;
    readonly fit: "letterbox";
    readonly view: "picture" | "content";
    /** Red, green, blue in 0 … 255. */
    readonly background: readonly number[];
    readonly mean: readonly number[];
    readonly std: readonly number[];
  };
  readonly output: {
    readonly name: string;
    /** softmax(log probabilities / temperature) means what it says. */
    readonly temperature: number;
    /** The National Dex number of each class. */
    readonly dex: readonly number[];
  };
}

/** The preprocessing of a model's card. */
export function preprocessingOf({ input, outputs, temperature, classes }: ModelCard): TargetPreprocessing {
  const { name, layout, channels, size, fit, view, background, mean, std } = input;
  return {
    format: "pokedex-preprocessing-1",
    input: {
      name,
      shape: ["batch", 3, size, size],
      layout,
      channels,
      dtype: "float32",
      size,
      fit,
      view,
      background,
      mean,
      std,
    },
    output: { name: outputs.probabilities, temperature, dex: classes.dex },
  };
}

/** The section of a README that writes it out. */
export function preprocessingText({ input, output }: TargetPreprocessing): string {
  const { size, view, background, mean, std, name } = input;
  const isPlain = mean.every((x) => x === 0) && std.every((x) => x === 1);
  const longest = view === "content" ? Math.min(2 * size, 4096) : size;
  const shown = view === "content"
    ? "Find the content: the smallest rectangle of pixels with an alpha of at least 16 (of 255); an opaque or an empty picture is " +
      "its own content."
    : "The whole picture is shown.";
  return `## What the model expects

\`preprocessing.json\` says it for programs. The steps:

1. Decode the first frame, upright (EXIF), to sRGB with straight alpha, a byte a channel.
2. Shrink it, aspect kept, to at most 416 pixels on its longer side, then to at most ${longest} (Lanczos with three lobes, on colours
   weighted by alpha). Never enlarge here.
3. ${shown}
4. Fit that as large as possible into ${size} x ${size} pixels, aspect kept, centred: halve (means of 2 x 2, weighted by alpha) while it
   is twice as large or more, then bilinear. Beside it the square is transparent.
5. Lay it on the background of red ${background[0]}, green ${background[1]}, blue ${background[2]}.
6. ${
    isPlain
      ? "Divide by 255: values in 0 … 1."
      : `Divide by 255, subtract ${mean.join(", ")} and divide by ${std.join(", ")}.`
  }
7. Order as NCHW: the tensor \`${name}\`, float32, [batch, 3, ${size}, ${size}], planes red, green, blue.

The output \`${output.name}\` [batch, ${output.dex.length}] sums to 1; line k + 1 of \`classes.txt\` names class k. For probabilities that
mean what they say take softmax(log p / T) with T = ${output.temperature}; the order stays the same.
`;
}
