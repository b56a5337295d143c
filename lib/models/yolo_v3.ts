/** YOLOv3: Darknet-53 with detecting layers at three scales. */

import { concat } from "../onnx/mod.ts";
import { darknetStages } from "./darknet53.ts";
import { upsample } from "./layers.ts";
import { YOLO_V3_ANCHORS, YoloBuilder, type YoloNetwork, type YoloOptions } from "./yolo_head.ts";

/**
 * YOLOv3 (Redmon and Farhadi 2018; Darknet's yolov3.cfg): "images" [N, 3, size, size], red, green, blue in 0 … 1, to the raw
 * heads "coarse", "middle" and "fine", [N, 3 · (5 + classes), s, s] with s = size / 32, / 16 and / 8. With width and depth 1
 * its 75 convolutions, conv0 … conv74, are those of Darknet's file in the file's order; with 80 classes they have 62,001,757
 * numbers, with 1,025 classes 67,090,582. Throws ModelError for a size that is no multiple of 32.
 */
export function yoloV3(options: YoloOptions): YoloNetwork {
  const builder = new YoloBuilder("yolov3", options, YOLO_V3_ANCHORS);
  const { layers, images } = builder;
  const stages = darknetStages(layers, images);
  let x = stages[4]!;
  for (const [scale, output] of ["coarse", "middle", "fine"].entries()) {
    const filters = 512 >> scale;
    if (scale > 0) x = concat([upsample(layers.convolution(x, filters, 1)), stages[4 - scale]!], 1);
    for (let i = 0; i < 2; i++) x = layers.convolution(layers.convolution(x, filters, 1), 2 * filters, 3);
    x = layers.convolution(x, filters, 1);
    builder.head(output, layers.convolution(x, 2 * filters, 3), 6 - 3 * scale);
  }
  return builder.finish();
}
