/** How much a channel counts. */

import type { Value } from "../../onnx/mod.ts";
import { InputError } from "../../runtime/mod.ts";
import type { ChannelGroup, Channels, Tie } from "./channels.ts";

/**
 * batchNorm: |γ|, the scales of batch normalisation (Liu et al. 2017, "Network slimming", section 3). l1, l2: norms of the filters (Li et
 * al. 2017, "Pruning filters for efficient convnets", section 3.1), for graphs whose normalisations are folded into them.
 */
export const WEIGHT_IMPORTANCES = ["batchNorm", "l1", "l2"] as const;

/** What tells the importance of channels: weights alone (`WEIGHT_IMPORTANCES`), or the loss on pictures (`taylorImportance`). */
export const IMPORTANCES = [...WEIGHT_IMPORTANCES, "taylor"] as const;

/** See `WEIGHT_IMPORTANCES`. */
export type WeightImportance = typeof WEIGHT_IMPORTANCES[number];

/** See `IMPORTANCES`. */
export type Importance = typeof IMPORTANCES[number];

/** A number for each channel of a group, in their order. */
export type GroupImportance = ReadonlyMap<ChannelGroup, Float64Array>;

/** "batchNorm" where channels have scales of their own, else "l2". */
export function defaultImportance(channels: Channels): WeightImportance {
  const scales = scalesOf(channels);
  return channels.groups.some(({ ties }) => ties.some(({ value }) => scales.has(value))) ? "batchNorm" : "l2";
}

/**
 * The importance of each channel, summed over the layers that it goes through. Scales count as they are, so that layers can be compared
 * as the paper does; norms of filters are brought to a sum of 1 in each layer first, for filters of many inputs are longer. Groups
 * without such weights, as of convolutions without normalisation for "batchNorm", are left out and so stay whole. Throws InputError
 * where no group has any.
 */
export function channelImportance(channels: Channels, importance: WeightImportance): GroupImportance {
  const measured = importance === "batchNorm" ? scalesOf(channels) : filtersOf(channels);
  const result = new Map<ChannelGroup, Float64Array>();
  for (const group of channels.groups) {
    const own = group.ties.filter(({ value, isOwn }) => isOwn && measured.has(value));
    if (own.length === 0) continue;
    const places = new Map(group.channels.map((channel, i) => [channel, i])), sums = new Float64Array(places.size);
    for (const tie of own) {
      const found = norms(channels, tie, places, importance);
      const whole = importance === "batchNorm" ? 1 : found.reduce((sum, each) => sum + each, 0) || 1;
      found.forEach((each, i) => sums[i]! += each / whole);
    }
    result.set(group, sums);
  }
  if (result.size > 0 || channels.groups.length === 0) return result;
  throw new InputError(
    `importance ${importance}: expected channels with scales of batch normalisation, found none: in a graph for inference they are ` +
      "folded into the filters; take l2",
  );
}

function scalesOf({ graph }: Channels): ReadonlySet<Value> {
  return new Set(graph.nodes.filter(({ opType }) => opType === "BatchNormalization").map((node) => node.input(1)));
}

function filtersOf({ graph }: Channels): ReadonlySet<Value> {
  const layers = new Set(["Conv", "ConvTranspose", "Gemm", "MatMul"]);
  return new Set(graph.nodes.filter(({ opType }) => layers.has(opType)).map((node) => node.input(1)));
}

/** The norm of each channel's own elements. */
function norms(
  { channelOf }: Channels,
  { value, axis, atoms }: Tie,
  places: ReadonlyMap<number, number>,
  importance: WeightImportance,
): Float64Array {
  const { shape, data } = value.tensor!, result = new Float64Array(places.size);
  const size = shape[axis]!, inner = shape.slice(axis + 1).reduce((product, each) => product * each, 1);
  const own = atoms.map((atom) => places.get(channelOf(atom)) ?? -1);
  for (let i = 0; i < data.length; i++) {
    const channel = own[Math.floor(i / inner) % size]!;
    if (channel < 0) continue;
    const element = Math.abs(Number(data[i]));
    result[channel]! += importance === "l2" ? element * element : element;
  }
  return importance === "l2" ? result.map(Math.sqrt) : result;
}
