/** What the layers of one Darknet network share: the numbering of its convolutions and the multipliers of width and depth. */

import type { Value } from "../onnx/mod.ts";
import { ModelError } from "./errors.ts";
import { convolution, type ConvolutionOptions, residual, type WeightSource } from "./layers.ts";
import { dropout, dropPathRatios } from "./stochastic.ts";

/** How large a network is made, and where its weights come from. */
export interface NetworkOptions {
  readonly random: WeightSource;
  /** Multiplies channels, rounded to a multiple of 8, at least 8. Default: 1. */
  readonly width?: number;
  /** Multiplies the numbers of residual blocks, at least 1 each. Default: 1. */
  readonly depth?: number;
  /** Pictures at a time; default: any number, "N". */
  readonly batch?: number;
  /** Of batch normalisation; default 1e-5. */
  readonly epsilon?: number;
  /** Ratio of `dropout` before each last layer. Default: 0. */
  readonly dropout?: number;
  /** Ratio of `dropPath` in the last residual block, where there are any; those before have less, in a straight line. Default: 0. */
  readonly dropPath?: number;
}

/** Makes layers whose convolutions are named conv0, conv1, … in the order in which Darknet's files have them. */
export class DarknetLayers {
  readonly #random: WeightSource;
  readonly #width: number;
  readonly #depth: number;
  readonly #epsilon: number | undefined;
  readonly #dropout: number;
  readonly #dropPath: number;
  #count = 0;

  /** Throws ModelError for a multiplier that is not above 0. */
  constructor({ random, width = 1, depth = 1, epsilon, dropout = 0, dropPath = 0 }: NetworkOptions) {
    expectMultipliers({ width, depth });
    this.#random = random;
    this.#width = width;
    this.#depth = depth;
    this.#epsilon = epsilon;
    this.#dropout = dropout;
    this.#dropPath = dropPath;
  }

  /** Convolution, batch normalisation, leaky activation, with `filters` times the width multiplier channels. */
  convolution(x: Value, filters: number, size: number, stride = 1): Value {
    return convolution(x, { ...this.#shared, name: this.#next(), filters: this.scaled(filters), size, stride });
  }

  /** After each of the stages, strided convolutions 3x3 with `count` times the depth multiplier residual blocks behind each. */
  stages(x: Value, stages: readonly { readonly filters: number; readonly count: number }[]): Value[] {
    const counts = stages.map(({ count }) => Math.max(1, Math.round(count * this.#depth)));
    const ratios = dropPathRatios(counts.reduce((sum, count) => sum + count, 0), this.#dropPath);
    return stages.map(({ filters }, i) => {
      x = this.convolution(x, filters, 3, 2);
      for (const ratio of ratios.splice(0, counts[i]!)) {
        const names = [this.#next(), this.#next()] as const;
        const inner = this.scaled(filters / 2);
        x = residual(x, { ...this.#shared, names, filters: this.scaled(filters), inner, dropPath: ratio });
      }
      return x;
    });
  }

  /** A last convolution 1x1 with exactly so many outputs, without normalisation and activation. */
  last(x: Value, outputs: number, start: Pick<ConvolutionOptions, "weight" | "bias"> = {}): Value {
    const name = this.#next();
    return convolution(dropout(x, { name: `${name}.drop`, ratio: this.#dropout }), {
      ...start,
      random: this.#random,
      name,
      filters: outputs,
      size: 1,
      batchNormalize: false,
      activation: "linear",
    });
  }

  /** Channels times the width multiplier, rounded to a multiple of 8, at least 8. */
  scaled(channels: number): number {
    return scaledChannels(channels, this.#width);
  }

  get #shared(): Pick<ConvolutionOptions, "random" | "epsilon"> {
    return { random: this.#random, ...(this.#epsilon === undefined ? {} : { epsilon: this.#epsilon }) };
  }

  #next(): string {
    return `conv${this.#count++}`;
  }
}

/** Channels times a multiplier, rounded to a multiple of 8, at least 8. */
export function scaledChannels(channels: number, width: number): number {
  return width === 1 ? channels : Math.max(8, 8 * Math.round(channels * width / 8));
}

/** Throws ModelError unless each is a multiplier that a network can have. */
export function expectMultipliers(multipliers: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(multipliers)) {
    if (!(value > 0 && value <= 64)) throw new ModelError(`${name}: expected a multiplier in 0 … 64, found ${value}`);
  }
}

/** Throws ModelError unless the input's side is a multiple of the network's coarsest stride. */
export function expectSize(size: number, multiple: number): void {
  if (Number.isInteger(size) && size > 0 && size % multiple === 0) return;
  throw new ModelError(`size: expected a multiple of ${multiple} pixels, found ${size}`);
}
