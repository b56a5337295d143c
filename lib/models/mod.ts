/** Architectures as functions of the graph builder: starting values, layers, networks, and what turns their outputs into boxes. */

export * from "./darknet53.ts";
export type { NetworkOptions } from "./darknet_layers.ts";
export * from "./errors.ts";
export * from "./initializers.ts";
export * from "./layers.ts";
export {
  headBias,
  scaleAnchors,
  YOLO_V3_ANCHORS,
  YOLO_V3_TINY_ANCHORS,
  type YoloNetwork,
  type YoloOptions,
} from "./yolo_head.ts";
export * from "./yolo_spec.ts";
export * from "./yolo_v3.ts";
export * from "./yolo_v3_tiny.ts";
