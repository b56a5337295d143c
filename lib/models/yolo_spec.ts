/** What a YOLO network's outputs mean: classes, input size, and for each head its stride and anchors. */

/** Width and height of an anchor in pixels of the network's input. */
export type Anchor = readonly [width: number, height: number];

/**
 * One detection head. Its output has the shape [N, anchors · (5 + classes), rows, columns] in Darknet's layout: for each
 * anchor the channels t_x, t_y, t_w, t_h, objectness, class 0 … class C − 1, before any activation.
 */
export interface YoloHead {
  /** The name of the graph's output. */
  readonly output: string;
  /** Pixels of the input that a cell stands for. */
  readonly stride: number;
  readonly anchors: readonly Anchor[];
}

/** A YOLO network: "images" [N, 3, size, size], red, green, blue in 0 … 1, to one output a head. */
export interface YoloSpec {
  readonly classes: number;
  /** Side of the input in pixels, a multiple of the largest stride. */
  readonly size: number;
  /** Coarsest first, as Darknet's files have them. */
  readonly heads: readonly YoloHead[];
}
