/** Judging predictions: intervals, and the yardstick that a model has to beat. */

export * from "./interval.ts";
export { type Features, histogramFeatures, pixelFeatures } from "./features.ts";
export * from "./nearest_neighbour.ts";
