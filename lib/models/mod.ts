/** Architectures as functions of the graph builder: starting values, layers, networks, and what turns their outputs into boxes. */

export * from "./errors.ts";
export * from "./initializers.ts";
export * from "./yolo/decode.ts";
export * from "./yolo_spec.ts";
