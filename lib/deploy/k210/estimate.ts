/** How fast a network may run on a K210, from figures that others measured: an estimate, which no board has confirmed. */

import type { K210Report } from "./check.ts";

/**
 * Multiply-accumulate steps a second of one convolution 3x3 with 128 channels in and out, by the places of its map: measured by Sipeed
 * with the KPU at 300 MHz (https://bbs.sipeed.com/t/topic/691).
 */
const KPU_RATES: readonly (readonly [places: number, giga: number])[] = [
  [16, 6.9],
  [64, 27.8],
  [256, 90.5],
  [512, 109.1],
  [1024, 132.6],
  [2048, 142.1],
  [4096, 155.2],
  [8192, 156.7],
  [16384, 163.5],
  [65536, 167.3],
];

/** The measured clock, MHz, and the one that firmware sets. */
const CLOCK = { measured: 300, usual: 400 };

/**
 * Whole programs on 320 x 240 pictures from the same place: MobileNetV1 20 to 30 frames a second, YOLOv3-tiny 20. MobileNetV1 has 569
 * million steps at 224 x 224 (Howard et al. 2017, table 4), so 871 million there, and YOLOv3-tiny 2.78 billion at 416 x 416, so 1.23
 * billion: 17 to 26 and 25 billion steps a second, with camera and display.
 */
const PROGRAM_RATES = { low: 20 * 0.871e9, high: 30 * 0.871e9 };

/** The fastest program published there, a face detector: camera and display set a limit whatever the network. */
const MOST_FRAMES = 70;

/** An estimate, not a measurement. */
export interface K210Estimate {
  /** The KPU alone, at 400 MHz, were every layer as efficient as the published 3x3 one: less than it takes. */
  readonly kpuMilliseconds: number;
  /** As fast as whole programs that were published, by operations, and none faster than the fastest of these. */
  readonly framesPerSecond: readonly [low: number, high: number];
  readonly basis: string;
}

/** Estimates from the checker's counts. */
export function estimateK210({ layers, macs }: Pick<K210Report, "layers" | "macs">): K210Estimate {
  let seconds = 0;
  for (const { unit, input: [, rows = 1, columns = 1], macs: steps } of layers) {
    if (unit === "KPU") seconds += steps / kpuRate(rows * columns);
  }
  const round = (x: number) => Number(x.toPrecision(2)), frames = (x: number) => round(Math.min(x, MOST_FRAMES));
  return {
    kpuMilliseconds: round(seconds * 1e3),
    framesPerSecond: [frames(PROGRAM_RATES.low / macs), frames(Math.min(PROGRAM_RATES.high / macs, 1 / seconds))],
    basis:
      "an estimate from counted operations and Sipeed's published figures (bbs.sipeed.com/t/topic/691); not measured",
  };
}

/** "20 to 30 frames a second", for people. */
export function framesText({ framesPerSecond: [low, high] }: Pick<K210Estimate, "framesPerSecond">): string {
  return `${low < high ? `${low} to ${high}` : `at most ${high}`} frames a second`;
}

/** Steps a second at the usual clock, between the measured places in proportion to their logarithms. */
function kpuRate(places: number): number {
  const first = KPU_RATES[0]!, last = KPU_RATES.at(-1)!;
  const scale = 1e9 * CLOCK.usual / CLOCK.measured;
  if (places <= first[0]) return scale * first[1] * places / first[0];
  const above = KPU_RATES.findIndex(([most]) => most >= places);
  if (above < 0) return scale * last[1];
  const [x0, y0] = KPU_RATES[above - 1]!, [x1, y1] = KPU_RATES[above]!;
  return scale * (y0 + (y1 - y0) * Math.log(places / x0) / Math.log(x1 / x0));
}
