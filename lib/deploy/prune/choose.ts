/** Which channels go so that a share of the multiplications is left. */

import { costOf, withSizes } from "../../evaluate/mod.ts";
import type { Value } from "../../onnx/mod.ts";
import { InputError } from "../../runtime/mod.ts";
import type { ChannelGroup, Channels, Tie } from "./channels.ts";
import type { GroupImportance } from "./importance.ts";

/** Settings of `chooseChannels`. */
export interface ChooseOptions {
  /** The share of multiply-accumulate steps that may be left, above 0, below 1. */
  readonly share: number;
  /** Numbers of channels are multiples of it, which int8 kernels and the K210 run best. Default: 8. */
  readonly multiple?: number;
  /** The fewest channels of a group. Default: 8. */
  readonly least?: number;
  /** The smallest share of a group's channels that stays. Default: 0.25. */
  readonly leastShare?: number;
  /** Sizes for symbols of the inputs' shapes, as of `countOperations`. */
  readonly sizes?: Readonly<Record<string, number>>;
}

/** What `chooseChannels` gives. */
export interface ChosenChannels {
  /** To be given to `withoutChannels`. */
  readonly removed: ReadonlySet<number>;
  /** Multiply-accumulate steps before and after. */
  readonly macs: number;
  readonly left: number;
  readonly groups: readonly { readonly name: string; readonly channels: number; readonly left: number }[];
}

/** One group while channels are chosen. */
interface State {
  readonly group: ChannelGroup;
  /** The least important channels first. */
  readonly order: readonly number[];
  /** Their importance. */
  readonly weights: readonly number[];
  readonly floor: number;
  left: number;
}

/**
 * Takes channels away until at most `share` of the multiplications is left: again and again from the group where the importance that is
 * lost is smallest for the multiplications that are saved, its least important channels down to the next multiple. What is lost weighs the more
 * the less of its importance the group has left, so that no layer is emptied for being cheap to lose at first. Throws InputError for a share out of
 * range, where nothing can be taken away, and for a share that cannot be reached, with the least that can.
 */
export function chooseChannels(
  channels: Channels,
  importance: GroupImportance,
  { share, multiple = 8, least = 8, leastShare = 0.25, sizes = {} }: ChooseOptions,
): ChosenChannels {
  if (!(share > 0 && share < 1)) throw new InputError(`prune: expected a share between 0 and 1, found ${share}`);
  const states = [...importance].map(([group, values]): State => {
    const order = group.channels.map((_, i) => i).sort((a, b) => values[a]! - values[b]! || a - b);
    const count = order.length;
    return {
      ...{ group, order: order.map((i) => group.channels[i]!), weights: order.map((i) => values[i]!) },
      floor: Math.min(count, Math.ceil(Math.max(1, least, leastShare * count) / multiple) * multiple),
      left: count,
    };
  });
  const layers = layersOf(channels, states, sizes), readers = new Map(states.map((state) => [state, [] as Layer[]]));
  for (const layer of layers) for (const state of layer.states) readers.get(state)!.push(layer);
  const macs = layers.reduce((sum, { macs }) => sum + macs, 0);
  const open = states.filter(({ floor, left }) => floor < left);
  if (open.length === 0 || macs === 0) {
    const [reason] = channels.kept;
    throw new InputError(
      `prune: expected channels that can be taken away, at least ${
        Math.max(1, least)
      } left in multiples of ${multiple}, found none` +
        (reason === undefined ? "" : `; what reads them: ${reason}`),
    );
  }
  const smallest = layers.reduce((sum, layer) => sum + layer.cost(({ floor }) => floor), 0) / macs;
  if (share < smallest) {
    const least = Math.ceil(smallest * 1000) / 1000;
    throw new InputError(`prune: expected a share of multiplications of at least ${least}, found ${share}`);
  }
  let left = macs;
  while (left > share * macs) {
    let best: { state: State; to: number; saved: number; price: number } | undefined;
    for (const state of open) {
      if (state.left <= state.floor) continue;
      const to = Math.max(state.floor, multiple * (Math.ceil(state.left / multiple) - 1));
      const saved = readers.get(state)!.reduce(
        (sum, layer) => sum + layer.cost(now) - layer.cost((each) => each === state ? to : each.left),
        0,
      );
      if (!(saved > 0)) continue;
      const price = lost(state, to) / saved;
      if (!best || price < best.price) best = { state, to, saved, price };
    }
    if (!best) break;
    best.state.left = best.to;
    left -= best.saved;
  }
  return {
    removed: new Set(states.flatMap(({ order, left }) => order.slice(0, order.length - left))),
    ...{ macs, left: layers.reduce((sum, layer) => sum + layer.cost(now), 0) },
    groups: states.map(({ group, order, left }) => ({ name: group.name, channels: order.length, left })),
  };
}

const now = (state: State) => state.left;

/** The importance of the next channels to go, the more the fewer are left. */
function lost({ weights, left }: State, to: number): number {
  const count = weights.length, sum = (list: readonly number[]) => list.reduce((total, each) => total + each, 0);
  const rest = sum(weights.slice(count - left));
  return rest === 0 ? 0 : sum(weights.slice(count - left, count - to)) * sum(weights) / rest;
}

/** A layer whose multiplications depend on how many channels are left. */
interface Layer {
  readonly macs: number;
  readonly states: readonly State[];
  cost(left: (state: State) => number): number;
}

function layersOf(
  channels: Channels,
  states: readonly State[],
  sizes: Readonly<Record<string, number>>,
): Layer[] {
  const { graph, ties, channelOf } = channels;
  const stateOf = new Map(states.flatMap((state) => state.group.channels.map((channel) => [channel, state] as const)));
  const tiesOf = Map.groupBy(ties, ({ value }) => value);
  const sized = withSizes(graph, { sizes }), layers: Layer[] = [];
  for (const node of graph.nodes) {
    const [y] = node.outputs, copy = y && sized.values.get(y.name)?.producer;
    const macs = (copy && costOf(copy)?.macs) ?? 0;
    if (macs === 0) continue;
    const axes = weightTies(node.inputs[1], tiesOf).map(({ atoms }) => {
      const counts = new Map<State | undefined, number>();
      for (const atom of atoms) {
        const state = stateOf.get(channelOf(atom));
        counts.set(state, (counts.get(state) ?? 0) + 1);
      }
      return { size: atoms.length, counts };
    });
    layers.push({
      macs,
      states: [...new Set(axes.flatMap(({ counts }) => [...counts.keys()]))].filter((state) => state !== undefined),
      cost: (left) =>
        axes.reduce((product, { size, counts }) => {
          let kept = 0;
          for (const [state, count] of counts) kept += state ? count * left(state) / state.order.length : count;
          return product * kept / size;
        }, macs),
    });
  }
  return layers;
}

function weightTies(weight: Value | undefined, tiesOf: ReadonlyMap<Value, readonly Tie[]>): readonly Tie[] {
  return (weight && tiesOf.get(weight)) ?? [];
}
