/** Which channels of a network go together: what must be taken away with a channel so that the rest still fits. */

import { type Graph, isFloat, type Node, type Value } from "../../onnx/mod.ts";
import { CHANNEL_RULES } from "./channel_rules.ts";

/** The channels of a value along one axis. */
export interface Track {
  readonly axis: number;
  /** For each place along the axis its channel. */
  readonly atoms: readonly number[];
  /** For each place whether it is 0 for every input where its channel's own weights are 0. */
  readonly zero: readonly boolean[];
}

/** An axis of an initialiser that lies along channels. */
export interface Tie {
  readonly value: Value;
  readonly axis: number;
  readonly atoms: readonly number[];
  /** Whether the elements of a channel are its own: with 0 in them the channel is 0. Else they are what others read of it. */
  readonly isOwn: boolean;
}

/** Channels that lie in the same places of the same tensors: any of them can go without another. */
export interface ChannelGroup {
  /** The first layer's weights. */
  readonly name: string;
  readonly channels: readonly number[];
  /** The axes of initialisers that shrink with it. */
  readonly ties: readonly Tie[];
}

/** What `findChannels` gives. */
export interface Channels {
  readonly graph: Graph;
  /** Those that can be taken away, in the graph's order. */
  readonly groups: readonly ChannelGroup[];
  readonly ties: readonly Tie[];
  /** The channel axis of each value that has one. */
  readonly tracks: ReadonlyMap<Value, Track>;
  /** Why channels must stay, each reason once: an operator that reads them in a way not known, an output of the graph. */
  readonly kept: readonly string[];
  /** The channel that a place of a track or tie belongs to. */
  channelOf(atom: number): number;
}

/**
 * Follows channels through a graph: convolution, normalisation and activation; sums and products, which bind the channels of their
 * operands; Concat, Split and Slice, which move them; depthwise convolutions, pools, means, Flatten and matrix products. What an
 * operator reads that is not among `CHANNEL_RULES`, what does not become 0 with its channel's weights before a layer sums over
 * it (behind a sigmoid, say), and what the graph gives out stays: such channels are in no group.
 */
export function findChannels(graph: Graph): Channels {
  const tracker = new ChannelTracker(graph);
  for (const node of graph.nodes) tracker.visit(node);
  return tracker.finish();
}

/** The state of one pass over a graph, and what the rules of operators do with it. */
export class ChannelTracker {
  readonly graph: Graph;
  readonly #parents: number[] = [];
  readonly #pinned = new Map<number, string>();
  readonly #tracks = new Map<Value, Track>();
  readonly #ties = new Map<Value, Map<number, Tie>>();
  readonly #whole = new Map<Value, Map<number, string>>();
  #tied = new Map<Value, Set<number>>();

  constructor(graph: Graph) {
    this.graph = graph;
  }

  /** The rule of a node, or none. */
  visit(node: Node): void {
    const rule = node.domain === "" ? CHANNEL_RULES.get(node.opType) : undefined;
    const inputs = node.inputs.filter((value) => value !== undefined);
    const isTwice = inputs.some((value, i) => value.tensor && isFloat(value.dtype) && inputs.indexOf(value) < i);
    this.#tied = new Map();
    if (rule && !isTwice) rule(this, node);
    else this.refuse(node);
    for (const value of inputs) {
      if (!value.tensor) continue;
      const own = this.#tied.get(value), axes = this.#whole.get(value) ?? new Map<number, string>();
      value.shape.forEach((_, axis) => own?.has(axis) || axes.set(axis, String(node)));
      this.#whole.set(value, axes);
    }
  }

  /** New channels. */
  fresh(count: number): number[] {
    return Array.from({ length: count }, () => this.#parents.push(this.#parents.length) - 1);
  }

  /** Channels that must stay. */
  fixed(count: number, reason: string): number[] {
    const made = this.fresh(count);
    this.pin(made, reason);
    return made;
  }

  /** These must stay. */
  pin(atoms: readonly number[], reason: string): void {
    for (const atom of atoms) {
      const root = this.find(atom);
      if (!this.#pinned.has(root)) this.#pinned.set(root, reason);
    }
  }

  /** All channels that the node reads must stay. */
  refuse(node: Node): void {
    for (const value of node.inputs) {
      const track = value && this.#tracks.get(value);
      if (track) this.pin(track.atoms, String(node));
    }
  }

  /** Channels of equal places go together. */
  join(a: readonly number[], b: readonly number[]): void {
    a.forEach((atom, i) => this.#unite(atom, b[i]!));
  }

  track(value: Value | undefined): Track | undefined {
    return value && this.#tracks.get(value);
  }

  set(value: Value, track: Track): void {
    this.#tracks.set(value, track);
  }

  /** The axis of an initialiser lies along these channels; what was said of it before goes together with them. */
  tie(value: Value, axis: number, atoms: readonly number[], { isOwn = false } = {}): void {
    const axes = this.#ties.get(value) ?? new Map<number, Tie>(), known = axes.get(axis);
    if (known) this.join(known.atoms, atoms);
    axes.set(axis, { value, axis, atoms: known?.atoms ?? atoms, isOwn: isOwn || (known?.isOwn ?? false) });
    this.#ties.set(value, axes);
    this.#tied.set(value, (this.#tied.get(value) ?? new Set()).add(axis));
  }

  /** A layer sums over these channels: those that are not 0 when their weights are must stay. */
  sum({ atoms, zero }: Track, node: Node): void {
    this.pin(atoms.filter((_, i) => !zero[i]), String(node));
  }

  find(atom: number): number {
    let root = atom;
    while (this.#parents[root] !== root) root = this.#parents[root]!;
    while (this.#parents[atom] !== root) [atom, this.#parents[atom]] = [this.#parents[atom]!, root];
    return root;
  }

  finish(): Channels {
    for (const output of this.graph.outputs) {
      const track = this.#tracks.get(output);
      if (track) this.pin(track.atoms, `output ${output}`);
      if (output.tensor) {
        this.#whole.set(output, new Map(output.shape.map((_, axis) => [axis, `output ${output}`])));
      }
    }
    const ties = [...this.#ties.values()].flatMap((axes) => [...axes.values()]);
    for (const { value, axis, atoms } of ties) {
      const reason = this.#whole.get(value)?.get(axis);
      if (reason !== undefined) this.pin(atoms, reason);
    }
    return {
      ...{ graph: this.graph, ties, tracks: this.#tracks, groups: this.#groups(ties) },
      kept: [...new Set(this.#pinned.values())],
      channelOf: (atom) => this.find(atom),
    };
  }

  /** Channels by the places in which they are. */
  #groups(ties: readonly Tie[]): ChannelGroup[] {
    const places = new Map<number, string[]>();
    [...ties, ...this.#tracks.values()].forEach(({ atoms }, place) => {
      const counts = new Map<number, number>();
      for (const atom of atoms) {
        const root = this.find(atom);
        counts.set(root, (counts.get(root) ?? 0) + 1);
      }
      for (const [root, count] of counts) {
        if (this.#pinned.has(root)) continue;
        const own = places.get(root) ?? [];
        own.push(`${place}*${count}`);
        places.set(root, own);
      }
    });
    const groups = Map.groupBy(places.keys(), (root) => places.get(root)!.join());
    return [...groups.values()].flatMap((channels) => {
      const [first] = channels;
      const own = ties.filter(({ atoms }) => atoms.some((atom) => this.find(atom) === first));
      const name = own.find(({ isOwn }) => isOwn)?.value.name;
      return name === undefined ? [] : [{ name, channels, ties: own }];
    });
  }

  #unite(a: number, b: number): void {
    const [first, second] = [this.find(a), this.find(b)];
    if (first === second) return;
    const [to, from] = first < second ? [first, second] : [second, first];
    this.#parents[from] = to;
    const reason = this.#pinned.get(from);
    if (reason === undefined) return;
    this.#pinned.delete(from);
    this.pin([to], reason);
  }
}
