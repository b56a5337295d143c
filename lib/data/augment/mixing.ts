/** Transforms that put several pictures of a batch into one: mosaic and mixup, with labels and boxes. */

import type { Random } from "../../runtime/mod.ts";
import { scaling, translating } from "./homography.ts";
import { compose } from "./homography.ts";
import { isOpaque, type Picture } from "./picture.ts";
import { area, clipToFrame, inFront, mapPolygon } from "./polygon.ts";
import { Sample, type Target, type TrackedBox } from "./sample.ts";
import type { Transform } from "./transform.ts";

/**
 * Blends each sample, with a probability, with another of the batch: λ · a + (1 − λ) · b, labels alike, boxes of both
 * (Zhang et al. 2018, "mixup: Beyond Empirical Risk Minimization"). λ is drawn from Beta(alpha, alpha); the larger of λ and
 * 1 − λ is taken, so that every picture stays the main one of its own blend (Berthelot et al. 2019, "MixMatch", eq. 9).
 */
export function mixup({ alpha = 0.2, probability = 1 }: { alpha?: number; probability?: number } = {}): Transform {
  if (!(alpha > 0)) throw new RangeError(`mixup: expected alpha > 0, found ${alpha}`);
  return {
    name: "mixup",
    options: { alpha, probability },
    apply(samples, random) {
      const partners = random.shuffle(samples.keys());
      for (const sample of samples) sample.render();
      return samples.map((sample, index) => {
        const draw = random.fork(index);
        const partner = samples[partners[index]!]!;
        if (!draw.chance(probability) || partner === sample) return sample.clone();
        const lambda = beta(draw, alpha);
        return blend(sample, partner, Math.max(lambda, 1 - lambda));
      });
    },
  };
}

/**
 * Puts each sample, with a probability, into one frame with three others of the batch, one a quadrant around a random
 * centre, each scaled to fill its quadrant (Bochkovskiy et al. 2020, "YOLOv4", section 3.3). A class weighs as much as
 * the area of its quadrants (as in CutMix, Yun et al. 2019). All samples must have the same frame.
 */
export function mosaic({ margin = 0.3, probability = 1 }: { margin?: number; probability?: number } = {}): Transform {
  if (!(margin > 0 && margin <= 0.5)) {
    throw new RangeError(`mosaic: expected a margin in 0 … 0.5 of the frame, found ${margin}`);
  }
  return {
    name: "mosaic",
    options: { margin, probability },
    apply(samples, random) {
      for (const sample of samples) sample.render();
      return samples.map((sample, index) => {
        const draw = random.fork(index);
        if (!draw.chance(probability)) return sample.clone();
        const members = draw.shuffle([sample, ...Array.from({ length: 3 }, () => draw.pick(samples))]);
        const centreX = Math.round(sample.width * draw.uniform(margin, 1 - margin));
        const centreY = Math.round(sample.height * draw.uniform(margin, 1 - margin));
        return assemble(members, sample.width, sample.height, centreX, centreY, draw);
      });
    },
  };
}

function blend(first: Sample, second: Sample, lambda: number): Sample {
  const a = first.render(), b = second.render();
  const data = new Uint8ClampedArray(a.data.length);
  for (let at = 0; at < data.length; at += 4) {
    const wa = lambda * a.data[at + 3]!, wb = (1 - lambda) * b.data[at + 3]!, sum = wa + wb;
    if (sum === 0) continue;
    for (let k = 0; k < 3; k++) data[at + k] = (wa * a.data[at + k]! + wb * b.data[at + k]!) / sum;
    data[at + 3] = sum;
  }
  const picture: Picture = { width: a.width, height: a.height, data, opaque: a.opaque && b.opaque };
  const result = new Sample(
    picture,
    merge([...weighted(first.targets, lambda), ...weighted(second.targets, 1 - lambda)]),
  );
  result.boxes = [...weighted(first.boxes, lambda), ...weighted(second.boxes, 1 - lambda)];
  return result;
}

function assemble(
  members: readonly Sample[],
  width: number,
  height: number,
  centreX: number,
  centreY: number,
  random: Random,
): Sample {
  const data = new Uint8ClampedArray(4 * width * height);
  const boxes: TrackedBox[] = [], targets: Target[] = [];
  for (const [index, member] of members.entries()) {
    const left = index % 2 ? centreX : 0, top = index < 2 ? 0 : centreY;
    const w = index % 2 ? width - centreX : centreX, h = index < 2 ? centreY : height - centreY;
    // The member covers the quadrant; what is too much of it is cut off on a random side.
    const zoom = Math.max(w / member.width, h / member.height);
    const dx = random.uniform(w - zoom * member.width, 0), dy = random.uniform(h - zoom * member.height, 0);
    const map = compose(scaling(zoom), translating(dx, dy));
    const piece = member.clone();
    piece.transform(map, w, h);
    const pixels = piece.render();
    for (let y = 0; y < h; y++) {
      data.set(pixels.data.subarray(4 * y * w, 4 * (y + 1) * w), 4 * ((top + y) * width + left));
    }
    boxes.push(...piece.boxes.map((box) => ({ ...box, polygon: mapPolygon(box.polygon, translating(left, top)) })));
    targets.push(...weighted(member.targets, (w * h) / (width * height)));
  }
  const result = new Sample({ width, height, data, opaque: isOpaque(data) }, merge(targets));
  result.boxes = boxes.filter((box) => area(inFront(clipToFrame(box.polygon, width, height))) > 0);
  return result;
}

function weighted<T extends { readonly weight: number }>(items: readonly T[], factor: number): T[] {
  return items.map((item) => ({ ...item, weight: item.weight * factor }));
}

/** Joins targets of one class; the heaviest comes first. */
export function merge(targets: readonly Target[]): Target[] {
  const weights = new Map<number, number>();
  for (const { classId, weight } of targets) weights.set(classId, (weights.get(classId) ?? 0) + weight);
  return [...weights].map(([classId, weight]) => ({ classId, weight }))
    .sort((a, b) => b.weight - a.weight || a.classId - b.classId);
}

/** A number from Beta(alpha, alpha): the share of one of two gamma draws. */
function beta(random: Random, alpha: number): number {
  const a = gammaDraw(random, alpha), b = gammaDraw(random, alpha);
  return a + b > 0 ? a / (a + b) : 0.5;
}

/** A number from the gamma distribution (Marsaglia and Tsang 2000; section 6 for shapes below 1). */
function gammaDraw(random: Random, shape: number): number {
  if (shape < 1) return gammaDraw(random, shape + 1) * (1 - random.uniform()) ** (1 / shape);
  const d = shape - 1 / 3, c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = random.normal();
    const v = (1 + c * x) ** 3;
    if (v > 0 && Math.log(1 - random.uniform()) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v;
  }
}
