/** The start of every chain: a picture in the middle of a square frame, with its class and box. */

import { compose, scaling, translating } from "./homography.ts";
import type { Picture } from "./picture.ts";
import type { Rectangle } from "./polygon.ts";
import { Sample } from "./sample.ts";

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
