/** How fast a network may be on devices that are not here: bounds from published figures, each marked as the estimate that it is. */

import { bytesMoved, type Traffic } from "../../evaluate/mod.ts";

/** How a device computes: as wide as its numbers are. */
export type DevicePrecision = "float32" | "float16" | "int8";

/** Bytes of an element. */
const WIDTHS: Readonly<Record<DevicePrecision, number>> = { float32: 4, float16: 2, int8: 1 };

/** What is published of a device in one precision. */
export interface DeviceRate {
  /** Multiply-accumulate steps a second, at most. */
  readonly peak: number;
  /** A network that others timed on it: steps of one picture, and seconds. */
  readonly timed?: { readonly network: string; readonly macs: number; readonly seconds: number };
}

/** A device. */
export interface DeviceFigures {
  readonly name: string;
  readonly rates: Readonly<Partial<Record<DevicePrecision, DeviceRate>>>;
  /** Bytes a second between the processor and where weights and activations lie. */
  readonly bandwidth: number;
  /** Bytes of weights that stay on the chip, where activations stay too: only inputs and outputs cross, and weights beyond. */
  readonly keepsWeights?: number;
  /** Seconds of the fastest network that was published on it: what a run costs whatever it computes. */
  readonly shortest?: number;
  /** Where the figures are published. */
  readonly source: string;
}

/** MobileNetV1 at 224 x 224: steps of one picture (Howard et al. 2017, table 4). */
const MOBILENET = 569e6;
const mobileNet = (milliseconds: number) => ({ network: "MobileNetV1", macs: MOBILENET, seconds: milliseconds / 1e3 });

/** The devices. The K210 has its own checker and estimate, `estimateK210`. */
export const DEVICES: readonly DeviceFigures[] = [
  {
    name: "Raspberry Pi 4",
    // Four Cortex-A72 at 1.8 GHz, each one multiply-add of 128 bits a cycle: 4 products in float32, 8 of widening int8.
    rates: {
      float32: { peak: 4 * 4 * 1.8e9, timed: mobileNet(61.17) },
      int8: { peak: 4 * 8 * 1.8e9, timed: mobileNet(34.37) },
    },
    bandwidth: 5.56e9,
    source: "ncnn's benchmark (4 threads, 1.8 GHz); STREAM 5.56 GB/s (sci-pi.org.uk/bench/stream.html)",
  },
  {
    name: "Jetson Nano",
    // No INT8 on this chip.
    rates: { float16: { peak: 472e9 / 2 } },
    bandwidth: 25.6e9,
    source: "NVIDIA's data sheet: 472 GFLOP/s in FP16, 25.6 GB/s",
  },
  {
    name: "Jetson Orin Nano",
    rates: { float16: { peak: 5e12 }, int8: { peak: 10e12 } },
    bandwidth: 68e9,
    source: "NVIDIA's data sheet of the 8 GB module: 20 TOPS dense INT8, half of it FP16, 68 GB/s",
  },
  {
    name: "Edge TPU (USB)",
    rates: { int8: { peak: 2e12, timed: mobileNet(2.4) } },
    bandwidth: 0.5e9,
    keepsWeights: 8e6,
    shortest: 2e-3,
    source:
      "Coral's benchmarks (coral.ai/docs/edgetpu/benchmarks): 4 TOPS, no network in less than 2 ms; USB 3.0: 5 Gbit/s in 8b/10b",
  },
];

/** An estimate, not a measurement. */
export interface DeviceEstimate {
  readonly device: string;
  readonly precision: DevicePrecision;
  /**
   * Pictures a second: at most, by the roofline; and where a network was timed, as fast as that one by operations. Without it no
   * lower end is known.
   */
  readonly framesPerSecond: readonly [low: number | undefined, high: number];
  /** What limits the upper end. */
  readonly bound: "operations" | "bytes";
  readonly basis: string;
}

/** What a device has to compute and to move for one picture. */
export interface DeviceWork {
  readonly macs: number;
  readonly traffic: Pick<Traffic, "weights" | "activations" | "ports">;
}

/**
 * The roofline (Williams, Waterman, Patterson 2009): a run takes no less than its operations at the highest rate, and no less than its
 * bytes at the highest bandwidth; nor less than the fastest that was published, where that is known. Undefined where the device does not compute in this precision.
 */
export function estimateDevice(
  { name, rates, bandwidth, keepsWeights, shortest = 0, source }: DeviceFigures,
  { macs, traffic }: DeviceWork,
  precision: DevicePrecision,
): DeviceEstimate | undefined {
  const rate = rates[precision], width = WIDTHS[precision];
  if (!rate) return undefined;
  const bytes = keepsWeights === undefined
    ? bytesMoved(traffic, width)
    : width * traffic.ports + Math.max(0, width * traffic.weights - keepsWeights);
  const computing = macs / rate.peak, moving = bytes / bandwidth, high = 1 / Math.max(computing, moving, shortest);
  const low = rate.timed && Math.min(high, rate.timed.macs / rate.timed.seconds / macs);
  return {
    ...{ device: name, precision, bound: computing > moving ? "operations" as const : "bytes" as const },
    framesPerSecond: [low && rounded(low), rounded(high)],
    basis: `an estimate, not measured: at most by operations and bytes${
      rate.timed ? `, from ${rate.timed.network}'s rate on` : ""
    }; ${source}`,
  };
}

/**
 * Of all devices that compute as a model does: in int8, or in floating point, which is float16 where a device has it, as its
 * packages say.
 */
export function estimateDevices(work: DeviceWork, computes: "float" | "int8"): DeviceEstimate[] {
  return DEVICES.flatMap((device) => {
    const precision = computes === "int8" ? "int8" : device.rates.float16 ? "float16" : "float32";
    return estimateDevice(device, work, precision) ?? [];
  });
}

const rounded = (x: number) => Number(x.toPrecision(2));
