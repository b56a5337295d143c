/** What a model said of pictures, drawn on them as it saw them. */

import type { DetectedImage } from "../evaluate/mod.ts";
import type { RawPicture } from "./pictures.ts";
import { annotated } from "./annotated.ts";
import type { Picture } from "./pictures.ts";

/** Series colours: green for right, red for wrong. */
const RIGHT = 2, WRONG = 7;

/** A picture and what was predicted. */
export interface ShownPrediction {
  /** At the size of the model's input. */
  readonly picture: Omit<RawPicture, "channels">;
  readonly truth: number;
  readonly predicted: number;
  /** Probability of the predicted class, 0 … 1. */
  readonly confidence: number;
  readonly detected: Pick<DetectedImage, "detections"> | undefined;
}

/**
 * Each picture (RGBA) with the surest box of the predicted class, green where the class is right, else red, and a label: the
 * predicted name with its probability, behind what is right where it is not that.
 */
export async function predictionPictures(
  shown: readonly ShownPrediction[],
  nameOf: (classId: number) => string,
  { side }: { readonly side?: number } = {},
): Promise<Picture[]> {
  return await Promise.all(shown.map(async ({ picture, truth, predicted, confidence, detected }) => {
    const right = truth === predicted;
    const box = detected?.detections.find(({ classId }) => classId === predicted);
    const marks = box ? [{ ...box, color: right ? RIGHT : WRONG, label: undefined }] : [];
    const sure = `${(100 * confidence).toFixed(0)} %`;
    return {
      image: await annotated({ ...picture, channels: 4 }, { marks, side }),
      label: right ? `${nameOf(predicted)} ${sure}` : `${nameOf(truth)} → ${nameOf(predicted)} ${sure}`,
    };
  }));
}
