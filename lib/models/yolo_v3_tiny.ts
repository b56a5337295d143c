/** YOLOv3-tiny: a plain stack of convolutions and pools with detecting layers at two scales. */

import { concat } from "../onnx/mod.ts";
import { darknetMaxPool, upsample } from "./layers.ts";
import { YOLO_V3_TINY_ANCHORS, YoloBuilder, type YoloNetwork, type YoloOptions } from "./yolo_head.ts";

/**
 * YOLOv3-tiny (Darknet's yolov3-tiny.cfg): "images" [N, 3, size, size], red, green, blue in 0 … 1, to the raw heads "coarse"
 * and "fine", [N, 3 · (5 + classes), s, s] with s = size / 32 and / 16. With width 1 its 13 convolutions, conv0 … conv12, are
 * those of Darknet's file in the file's order; with 80 classes they have 8,858,734 numbers. It has no residual blocks: `depth`
 * changes nothing. Throws ModelError for a size that is no multiple of 32.
 */
export function yoloV3Tiny(options: YoloOptions): YoloNetwork {
  const builder = new YoloBuilder("yolov3-tiny", options, YOLO_V3_TINY_ANCHORS);
  const { layers } = builder;
  let x = builder.images, fine = x;
  for (const filters of [16, 32, 64, 128, 256, 512]) {
    x = layers.convolution(x, filters, 3);
    if (filters === 256) fine = x; // at stride 16, before its pool
    x = darknetMaxPool(x, { size: 2, stride: filters === 512 ? 1 : 2 });
  }
  x = layers.convolution(layers.convolution(x, 1024, 3), 256, 1);
  builder.head("coarse", layers.convolution(x, 512, 3), 3);
  x = concat([upsample(layers.convolution(x, 128, 1)), fine], 1);
  builder.head("fine", layers.convolution(x, 256, 3), 0);
  return builder.finish();
}
