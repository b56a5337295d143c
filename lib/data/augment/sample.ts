/** A picture on its way through a chain of transforms, with its boxes and labels. */

import { appendColour, applyColour, type ColourMatrix, type ColourStep } from "./colour.ts";
import { compose, type Homography, identity } from "./homography.ts";
import type { Picture } from "./picture.ts";
import {
  area,
  clipToFrame,
  hull,
  inFront,
  mapPolygon,
  type Polygon,
  type Rectangle,
  rectanglePolygon,
} from "./polygon.ts";
import { warp } from "./warp.ts";

/** A labelled rectangle, in pixels of its picture. */
export interface Box extends Rectangle {
  readonly classId: number;
  /** Share of the label that stands behind it: 1 unless pictures were mixed. */
  readonly weight: number;
}

/** One class of a soft label; the weights of a sample sum to 1. */
export interface Target {
  readonly classId: number;
  readonly weight: number;
}

/** A box as a polygon that follows the geometry exactly; its hull is taken only at the end. */
export interface TrackedBox {
  readonly classId: number;
  readonly weight: number;
  readonly polygon: Polygon;
  /** The share of the box's area that earlier frames left. */
  readonly visible: number;
}

/**
 * Pixels with what is still to be done to them. Geometric changes are composed into one homography and colour changes into
 * one affine map; `render()` carries both out, so that a chain of them samples the pixels once.
 */
export class Sample {
  #picture: Picture;
  #toFrame: Homography = identity;
  #colour: ColourStep[] = [];
  #width: number;
  #height: number;
  boxes: readonly TrackedBox[];
  targets: readonly Target[];

  /** `boxes` are in the picture's pixels. */
  constructor(picture: Picture, targets: readonly Target[], boxes: readonly Box[] = []) {
    this.#picture = picture;
    this.#width = picture.width;
    this.#height = picture.height;
    this.targets = targets;
    this.boxes = boxes.map((box) => ({
      classId: box.classId,
      weight: box.weight,
      polygon: rectanglePolygon(box),
      visible: 1,
    }));
  }

  /** The frame's size in pixels. */
  get width(): number {
    return this.#width;
  }
  get height(): number {
    return this.#height;
  }

  /** Maps the frame's content; its size may change with it. */
  transform(map: Homography, width = this.#width, height = this.#height): void {
    this.#toFrame = compose(this.#toFrame, map);
    this.#width = width;
    this.#height = height;
    this.boxes = this.boxes.map((box) => ({ ...box, polygon: mapPolygon(box.polygon, map) }));
  }

  /** Changes every colour by an affine map or a power curve (the map first, when both are given). */
  recolour(change: { readonly matrix?: ColourMatrix; readonly gamma?: number }): void {
    this.#colour = appendColour(this.#colour, change);
  }

  /** Carries out what is pending; the pixels may be changed in place by the caller. */
  render(): Picture {
    if (this.#toFrame !== identity) {
      this.#picture = warp(this.#picture, this.#toFrame, this.#width, this.#height);
      this.#toFrame = identity;
      // What left the frame is gone, also for its boxes.
      this.boxes = this.boxes.map((box) => {
        const whole = area(inFront(box.polygon));
        const polygon = clipToFrame(box.polygon, this.#width, this.#height);
        return { ...box, polygon, visible: whole > 0 ? box.visible * area(polygon) / whole : 0 };
      });
    }
    if (this.#colour.length) {
      applyColour(this.#picture.data, this.#colour);
      this.#colour = [];
    }
    return this.#picture;
  }

  /** Takes other pixels of the frame's size in place of the rendered ones. */
  replace(picture: Picture): void {
    if (picture.width !== this.#width || picture.height !== this.#height) {
      throw new RangeError(
        `replace: expected ${this.#width} x ${this.#height} pixels, found ${picture.width} x ${picture.height}`,
      );
    }
    this.render();
    this.#picture = picture;
  }

  /** A copy that shares nothing that may change. */
  clone(): Sample {
    const { data } = this.#picture;
    const copy = new Sample({ ...this.#picture, data: data.slice() }, this.targets);
    copy.boxes = this.boxes;
    copy.#toFrame = this.#toFrame;
    copy.#colour = this.#colour;
    copy.#width = this.#width;
    copy.#height = this.#height;
    return copy;
  }

  /**
   * The boxes as upright rectangles inside the frame. One that keeps less than `visibility` of its area, or less than
   * one pixel on a side, is dropped.
   */
  frameBoxes({ visibility = 0.2 }: { visibility?: number } = {}): Box[] {
    const boxes: Box[] = [];
    for (const { classId, weight, polygon, visible } of this.boxes) {
      const whole = area(inFront(polygon));
      const clipped = clipToFrame(polygon, this.#width, this.#height);
      const rectangle = hull(clipped);
      if (!rectangle || !(whole > 0) || visible * area(clipped) / whole < visibility) continue;
      if (rectangle.right - rectangle.left < 1 || rectangle.bottom - rectangle.top < 1) continue;
      boxes.push({ classId, weight, ...rectangle });
    }
    return boxes;
  }
}
