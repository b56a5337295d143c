/** Test-time augmentation inside the model's file: a graph that looks at several views of a picture and averages. */

import {
  concat,
  gather,
  Graph,
  joinGraphs,
  reduceMean,
  reshape,
  resize,
  shape,
  slice,
  type Value,
} from "../onnx/mod.ts";
import { ModelError } from "./errors.ts";

/** Settings of `withViews`, `withMirror` and `withCrops`. */
export interface ViewOptions {
  /** The input with the pictures, [N, C, H, W]. Default: the graph's only input. */
  readonly input?: string;
  /** The outputs that are averaged, [N, …]. The others are those of the first view. Default: the graph's only output. */
  readonly average?: readonly string[];
}

/**
 * A graph of the same inputs and outputs that runs on several views of each picture, as one batch of as many times the pictures,
 * and gives the mean of the outputs: plain ONNX, with the weights once. `views` makes them from the pictures, the first
 * for outputs that are not averaged; each has the pictures' shape. The source is left as it is, and must treat
 * each picture of a batch by itself.
 *
 * Throws ModelError where input and outputs are not those of the graph, a view has another shape, or an output does not have
 * the pictures in its first dimension.
 */
export function withViews(
  source: Graph,
  views: (images: Value) => readonly Value[],
  { input, average }: ViewOptions = {},
): Graph {
  const from = one(source, "input", source.inputs, input);
  const averaged = average?.map((name) => one(source, "output", source.outputs, name)) ??
    [one(source, "output", source.outputs, undefined)];
  const front = new Graph(source.name);
  for (const [key, value] of source.metadata) front.metadata.set(key, value);
  const images = front.input(from.name, from.dtype, from.shape);
  const made = views(images);
  const odd = made.find((view) => String(view.shape) !== String(images.shape));
  if (made.length === 0 || odd) {
    throw new ModelError(`views: expected views of the shape of ${images}, found ${odd ?? "none"}`);
  }
  const stack = front.output(concat(made, 0, { name: "views" }));
  const graph = joinGraphs(front, source, { [stack.name]: from.name });
  const [all] = graph.value(stack.name).shape;
  const pictures = shape(graph.value(from.name), { start: 0, end: 1 });
  for (const { name } of source.outputs) {
    const whole = graph.value(name);
    if (whole.shape[0] !== all) {
      throw new ModelError(`views: expected the pictures in the first dimension of output ${whole}, ${all} of them`);
    }
    graph.removeOutput(whole);
    let free = `${name}/views`; // taken where the graph has views already
    while (graph.values.has(free)) free += "/views";
    graph.rename(whole, free);
    const sizes = [graph.ints([made.length]), pictures, ...(whole.rank > 1 ? [shape(whole, { start: 1 })] : [])];
    const byView = reshape(whole, concat(sizes, 0)); // [views, N, …]
    const isAveraged = averaged.some((output) => output.name === name);
    graph.output(isAveraged ? reduceMean(byView, { axes: 0 }) : gather(byView, graph.ints(0)), name);
  }
  return graph;
}

/**
 * Averages over each picture and its mirror image, left for right: twice the work. Where outputs say where something is, leave
 * them out of `average`. Throws as `withViews`.
 */
export function withMirror(graph: Graph, options: ViewOptions = {}): Graph {
  const mirror = (images: Value) => slice(images, [-1], [undefined], { axes: [3], steps: [-1], name: "mirror" });
  return withViews(graph, (images) => [images, mirror(images)], options);
}

/**
 * Averages over each picture, its middle and its four corners, each `share` of its width and height (above 0, below 1) and
 * enlarged to the picture's size, bilinearly: six times the work (Krizhevsky et al. 2012, section 4.1, whose ten patches are
 * `withMirror(withCrops(graph))` without the whole pictures). Throws ModelError for pictures of unknown size, and as
 * `withViews`.
 */
export function withCrops(
  graph: Graph,
  { share = 0.875, ...options }: ViewOptions & { readonly share?: number } = {},
): Graph {
  if (!(share > 0 && share < 1)) throw new ModelError(`crops: expected a share between 0 and 1, found ${share}`);
  return withViews(graph, (images) => {
    const [, channels, height, width] = images.shape;
    if (typeof channels !== "number" || typeof height !== "number" || typeof width !== "number") {
      throw new ModelError(`crops: expected pictures of a known size, found ${images}`);
    }
    const rows = Math.max(1, Math.round(share * height)), columns = Math.max(1, Math.round(share * width));
    const below = height - rows, right = width - columns;
    const corners = [[0, 0], [0, right], [below, 0], [below, right]] as const;
    const places = [[Math.floor(below / 2), Math.floor(right / 2)] as const, ...corners];
    const crops = places.map(([top, left]) =>
      slice(images, [top, left], [top + rows, left + columns], { axes: [2, 3] })
    );
    return [
      images,
      ...crops.map((crop) => resize(crop, { scales: [1, 1, height / rows, width / columns], mode: "linear" })),
    ];
  }, options);
}

function one(graph: Graph, kind: "input" | "output", values: readonly Value[], name: string | undefined): Value {
  const found = name === undefined ? values.length === 1 ? values[0] : undefined : values.find((v) => v.name === name);
  if (found) return found;
  const names = values.map((value) => value.name).join(", ");
  throw new ModelError(
    `views: expected an ${kind} of graph "${graph.name}" (${names}), found ${
      name === undefined ? "no name" : `"${name}"`
    }`,
  );
}
