/** The start of every chain: a picture in the middle of a square frame, with its class and box. */

import { Random } from "../../runtime/mod.ts";
import { compose, scaling, translating } from "./homography.ts";
import type { Picture } from "./picture.ts";
import type { Rectangle } from "./polygon.ts";
import { type Box, Sample, type Target } from "./sample.ts";
import type { Transform } from "./transform.ts";

/**
 * A sample of `size` x `size` pixels with the picture as large as fits, aspect kept; nothing is drawn before it is rendered.
 * Its box is the whole frame, or `content` (in the picture's pixels) where it is given.
 */
export function letterbox(picture: Picture, size: number, classId: number, content?: Rectangle): Sample {
  const { width, height } = picture;
  const longer = Math.max(width, height);
  const marginX = (longer - width) / 2, marginY = (longer - height) / 2;
  const frame = { left: -marginX, top: -marginY, right: width + marginX, bottom: height + marginY };
  const sample = new Sample(picture, [{ classId, weight: 1 }], [{ classId, weight: 1, ...(content ?? frame) }]);
  sample.transform(compose(translating(marginX, marginY), scaling(size / longer)), size, size);
  return sample;
}

export interface AugmentedPicture {
  readonly picture: Picture;
  readonly boxes: readonly Box[];
  readonly targets: readonly Target[];
}

/**
 * Applies a transform to pictures as one batch, e.g. to look at it: letterboxed to `size`, the i-th picture as class i.
 * The given pictures stay as they are.
 */
export async function augmentPictures(
  pictures: readonly Picture[],
  transform: Transform,
  { seed = 0, size = 128 }: { seed?: number | string; size?: number } = {},
): Promise<AugmentedPicture[]> {
  const samples = pictures.map((picture, index) => letterbox({ ...picture, data: picture.data.slice() }, size, index));
  const augmented = await transform.apply(samples, Random.seeded("augment", seed));
  return augmented.map((sample) => ({
    picture: sample.render(),
    boxes: sample.frameBoxes(),
    targets: sample.targets,
  }));
}
