/** Synthetic scenes: cut-outs of a batch placed on one background, with their true boxes. */

import type { Random } from "../../runtime/mod.ts";
import { type BackgroundKind, backgroundKinds, renderBackground } from "../backgrounds.ts";
import { compose, scaling, translating } from "./homography.ts";
import { merge } from "./mixing.ts";
import { layOver, type Picture } from "./picture.ts";
import { type Rectangle, rectanglePolygon } from "./polygon.ts";
import { Sample, type TrackedBox } from "./sample.ts";
import type { Transform } from "./transform.ts";

/** Alpha from which on a pixel belongs to an object; what is fainter is the ring of a smoothed edge. */
export const visibleAlpha = 16;

/** Places that are tried for an object before it is left out. */
const TRIES = 30;

/**
 * Puts each sample, with a probability, as the first object into a scene with others of the batch: `fewest` to `most`
 * objects on a background of one of the kinds (of an empty list: on none, the scene stays transparent), the longer side of each `smallest` to `largest` of the frame's shorter one,
 * whole within the frame. An object that would cover more than `overlap` of an earlier one's box at 30 places is left out.
 *
 * A sample counts as one object of its heaviest class: what is not transparent of it. Its box bounds the pixels that have an
 * alpha of at least 16, exactly (what a later object covers of it included). A class of the scene weighs as much as its
 * boxes' area. All samples must have the same frame; one in which nothing can be seen becomes background only.
 */
export function scene({
  fewest = 1,
  most = 4,
  smallest = 0.15,
  largest = 0.5,
  overlap = 0.2,
  probability = 1,
  kinds = backgroundKinds,
}: {
  fewest?: number;
  most?: number;
  smallest?: number;
  largest?: number;
  overlap?: number;
  probability?: number;
  kinds?: readonly BackgroundKind[];
} = {}): Transform {
  if (!(Number.isInteger(fewest) && Number.isInteger(most) && fewest >= 1 && most >= fewest)) {
    throw new RangeError(
      `scene: expected fewest and most to be whole numbers, 1 ≤ fewest ≤ most, found ${fewest} and ${most}`,
    );
  }
  if (!(smallest > 0 && largest >= smallest && largest <= 1)) {
    throw new RangeError(`scene: expected 0 < smallest ≤ largest ≤ 1, found ${smallest} and ${largest}`);
  }
  if (!(overlap >= 0 && overlap <= 1)) throw new RangeError(`scene: expected an overlap in 0 … 1, found ${overlap}`);
  return {
    name: "scene",
    options: { fewest, most, smallest, largest, overlap, probability, kinds },
    apply(samples, random) {
      for (const sample of samples) sample.render();
      const contents = new Map(samples.map((sample) => [sample, visibleBounds(sample.render())]));
      return samples.map((sample, index) => {
        const draw = random.fork(index);
        if (!draw.chance(probability)) return sample.clone();
        const count = fewest + draw.int(most - fewest + 1);
        const members = [sample, ...Array.from({ length: count - 1 }, () => draw.pick(samples))];
        const { width, height } = sample;
        const picture = empty(width, height), placed: PlacedObject[] = [];
        for (const [order, member] of members.entries()) {
          const content = contents.get(member);
          if (!content) continue;
          const size = draw.uniform(smallest, largest) * Math.min(width, height);
          const object = cutOut(member, content, size);
          const box = object && place(object, width, height, placed, overlap, draw.fork("place", order));
          if (!object || !box) continue;
          paint(object.picture, picture, box.x, box.y);
          placed.push({ classId: member.targets[0]!.classId, ...box.bounds });
        }
        const backed = kinds.length
          ? layOver(picture, renderBackground(draw.fork("background"), width, height, { kinds }))
          : picture;
        return composed(sample, backed, placed);
      });
    },
  };
}

/** An object's class and box in the frame. */
interface PlacedObject extends Rectangle {
  readonly classId: number;
}

/** A scaled object with the bounds of what can be seen of it. */
interface CutOut {
  readonly picture: Picture;
  readonly bounds: Rectangle;
}

/** The smallest rectangle around all pixels that can be seen; undefined where there is none. */
export function visibleBounds({ data, width, height }: Picture): Rectangle | undefined {
  let left = width, top = height, right = 0, bottom = 0;
  for (let y = 0, at = 3; y < height; y++) {
    for (let x = 0; x < width; x++, at += 4) {
      if (data[at]! < visibleAlpha) continue;
      if (x < left) left = x;
      if (x >= right) right = x + 1;
      if (y < top) top = y;
      bottom = y + 1;
    }
  }
  return right > left ? { left, top, right, bottom } : undefined;
}

/** The content of a sample with its longer side scaled to `size` pixels, a pixel wider for the smoothed edge. */
function cutOut(sample: Sample, { left, top, right, bottom }: Rectangle, size: number): CutOut | undefined {
  const zoom = size / Math.max(right - left, bottom - top);
  const piece = sample.clone();
  piece.transform(
    compose(compose(translating(-left, -top), scaling(zoom)), translating(1, 1)),
    Math.ceil(zoom * (right - left)) + 2,
    Math.ceil(zoom * (bottom - top)) + 2,
  );
  const picture = piece.render();
  const bounds = visibleBounds(picture);
  return bounds && { picture, bounds };
}

/** Where the object's frame begins and its box, at whole pixels; undefined where no place was found. */
function place(
  { bounds }: CutOut,
  width: number,
  height: number,
  placed: readonly PlacedObject[],
  overlap: number,
  random: Random,
): { x: number; y: number; bounds: Rectangle } | undefined {
  const w = bounds.right - bounds.left, h = bounds.bottom - bounds.top;
  if (w > width || h > height) return undefined;
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const left = random.int(width - w + 1), top = random.int(height - h + 1);
    const box = { left, top, right: left + w, bottom: top + h };
    if (placed.some((other) => coveredShare(other, box) > overlap)) continue;
    return { x: left - bounds.left, y: top - bounds.top, bounds: box };
  }
  return undefined;
}

/** The share of a box that another covers. */
function coveredShare(box: Rectangle, other: Rectangle): number {
  const w = Math.min(box.right, other.right) - Math.max(box.left, other.left);
  const h = Math.min(box.bottom, other.bottom) - Math.max(box.top, other.top);
  return Math.max(0, w) * Math.max(0, h) / ((box.right - box.left) * (box.bottom - box.top));
}

function empty(width: number, height: number): Picture {
  return { width, height, data: new Uint8ClampedArray(4 * width * height), opaque: false };
}

/** Lays a piece over what was painted before (source over, straight alpha), its first pixel at (x, y). */
function paint(piece: Picture, into: Picture, x: number, y: number): void {
  const from = piece.data, to = into.data;
  for (let row = Math.max(0, -y); row < Math.min(piece.height, into.height - y); row++) {
    for (let column = Math.max(0, -x); column < Math.min(piece.width, into.width - x); column++) {
      const a = 4 * (row * piece.width + column), b = 4 * ((y + row) * into.width + x + column);
      const above = from[a + 3]!, below = to[b + 3]! * (255 - above) / 255, sum = above + below;
      if (above === 0) continue;
      for (let k = 0; k < 3; k++) to[b + k] = (from[a + k]! * above + to[b + k]! * below) / sum;
      to[b + 3] = sum;
    }
  }
}

function composed(source: Sample, picture: Picture, placed: readonly PlacedObject[]): Sample {
  const areas = placed.map(({ left, top, right, bottom }) => (right - left) * (bottom - top));
  const whole = areas.reduce((sum, area) => sum + area, 0);
  const targets = merge(placed.map(({ classId }, i) => ({ classId, weight: areas[i]! / whole })));
  const result = new Sample(picture, targets.length ? targets : source.targets);
  result.boxes = placed.map(({ classId, ...rectangle }): TrackedBox => ({
    classId,
    weight: 1,
    polygon: rectanglePolygon(rectangle),
    visible: 1,
  }));
  return result;
}
