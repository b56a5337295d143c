/** What a detector is taught about pictures: their boxes, the cells that answer for them, and the anchors. */

import { type Batch, batchPictures } from "../data/mod.ts";
import type { YoloSpec } from "../models/mod.ts";
import { type AssignmentOptions, assignPositives, type Positive } from "../train/mod.ts";
import { annotated, type Mark } from "./annotated.ts";
import type { Picture } from "./pictures.ts";

/** The colour of true boxes; a head's is its index and one. */
const TRUTH = 0;

/** How people call the first colours of the palette behind that of true boxes. */
const COLOR_NAMES = ["orange", "green", "magenta"];

/** What the colours of `targetPictures` mean: "orange: coarse, green: fine". */
export function headColors({ heads }: YoloSpec): string {
  return heads.map(({ output }, i) => `${COLOR_NAMES[i] ?? "another colour"}: ${output}`).join(", ");
}

/**
 * A batch's pictures (pixels in 0 … 1) with their true boxes (a line), for each positive of `assignPositives` its cell (an
 * area) and its anchor around the cell's middle (dashed) in the colour of its head, and the grid of the head that has the
 * largest positive. The label names the heads.
 */
export async function targetPictures(
  batch: Pick<Batch, "images" | "shape" | "boxes">,
  spec: YoloSpec,
  options: AssignmentOptions,
  { side }: { readonly side?: number } = {},
): Promise<Picture[]> {
  const seen = batchPictures(batch);
  return await Promise.all(seen.map(async (picture, index) => {
    const positives = assignPositives(batch.boxes[index]!, spec, options);
    const first = positives[0];
    const cells = first && spec.size / spec.heads[first.head]!.stride;
    const image = await annotated({ ...picture, channels: 4 }, {
      side,
      ...(cells === undefined ? {} : { grid: { columns: cells, rows: cells } }),
      marks: [
        ...positives.flatMap((positive) => positiveMarks(positive, spec)),
        ...batch.boxes[index]!.map((box) => ({ ...box, color: TRUTH, label: undefined })),
      ],
    });
    const heads = [...new Set(positives.map(({ head }) => spec.heads[head]!.output))];
    return { image, label: heads.join(", ") };
  }));
}

/** The cell of a positive and its anchor. */
export function positiveMarks({ head, anchor, row, column }: Positive, spec: YoloSpec): Mark[] {
  const { stride, anchors } = spec.heads[head]!, [width, height] = anchors[anchor]!, color = head + 1;
  const [x, y] = [(column + 0.5) * stride, (row + 0.5) * stride];
  return [
    {
      left: column * stride,
      top: row * stride,
      right: (column + 1) * stride,
      bottom: (row + 1) * stride,
      look: "area",
      color,
    },
    { left: x - width / 2, top: y - height / 2, right: x + width / 2, bottom: y + height / 2, look: "dashed", color },
  ];
}
