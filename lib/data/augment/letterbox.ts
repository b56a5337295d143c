/** The start of every chain: a picture in the middle of a square frame, with its class and box. */

import { compose, scaling, translating } from "./homography.ts";
import type { Picture } from "./picture.ts";
import type { Rectangle } from "./polygon.ts";
import { Sample } from "./sample.ts";

/** What a letterbox is to show of a picture, in the picture's pixels. */
export interface LetterboxOptions {
  /** The part that fills the frame. Default: the whole picture. */
  readonly view?: Rectangle | undefined;
  /** The sample's box. Default: the whole frame. */
  readonly content?: Rectangle | undefined;
}

/** A sample of `size` x `size` pixels with the view as large as fits, aspect kept; nothing is drawn before it is rendered. */
export function letterbox(
  picture: Picture,
  size: number,
  classId: number,
  { view = { left: 0, top: 0, right: picture.width, bottom: picture.height }, content }: LetterboxOptions = {},
): Sample {
  const width = view.right - view.left, height = view.bottom - view.top;
  const longer = Math.max(width, height);
  const left = view.left - (longer - width) / 2, top = view.top - (longer - height) / 2;
  const frame = { left, top, right: left + longer, bottom: top + longer };
  const sample = new Sample(picture, [{ classId, weight: 1 }], [{ classId, weight: 1, ...(content ?? frame) }]);
  sample.transform(compose(translating(-left, -top), scaling(size / longer)), size, size);
  return sample;
}
