/** How much the loss would change without a channel, estimated from its gradient on pictures. */

import { gradients } from "../../autodiff/mod.ts";
import { copyGraph, mul, reduceSum, removeDead, toModel } from "../../onnx/mod.ts";
import { InputError, openSession, type ProgressListener, tensor } from "../../runtime/mod.ts";
import { probabilityLoss } from "../quantize/fine_tune.ts";
import type { PictureBatch } from "../quantize/pictures.ts";
import type { ChannelGroup, Channels } from "./channels.ts";
import type { GroupImportance } from "./importance.ts";

/** Settings of `taylorImportance`. */
export interface TaylorOptions {
  /** The input with the pictures. Default: "images". */
  readonly name?: string;
  readonly threads?: number | undefined;
  readonly onProgress?: ProgressListener | undefined;
}

/**
 * The mean over batches of (Σ p · ∂loss/∂p)², the sum over all weights p that are the channel's own: the square of how the loss changes
 * at first when they shrink to 0 together (Molchanov et al. 2019, "Importance estimation for neural network pruning", section 3.1). The
 * loss is the cross-entropy of "probabilities"; normalisations use their running statistics. It sees what a folded graph's norms of
 * filters cannot: of what use a channel is to the layers after it. Throws InputError without pictures.
 */
export async function taylorImportance(
  channels: Channels,
  batches: readonly PictureBatch[],
  { name = "images", threads, onProgress = () => {} }: TaylorOptions = {},
): Promise<GroupImportance> {
  if (batches.length === 0) throw new InputError("importance taylor: expected pictures of the train split, found none");
  const { groups, channelOf } = channels;
  const ties = [...new Set(groups.flatMap((group) => group.ties))].filter(({ isOwn }) => isOwn);
  await using session = await openSession(gradientModel(channels, ties), { threads, name: "importance" });
  const placeOf = new Map<number, readonly [ChannelGroup, number]>();
  for (const group of groups) group.channels.forEach((channel, i) => placeOf.set(channel, [group, i]));
  const empty = () => new Map(groups.map((group) => [group, new Float64Array(group.channels.length)]));
  const result = empty();
  for (const [done, { images, labels }] of batches.entries()) {
    const fed = { [name]: images, labels: tensor("int64", [labels.length], BigInt64Array.from(labels, BigInt)) };
    const found = await session.run(fed), slopes = empty();
    ties.forEach(({ atoms }, t) => {
      const { data } = found[`slope/${t}`]!;
      atoms.forEach((atom, place) => {
        const at = placeOf.get(channelOf(atom));
        if (at) slopes.get(at[0])![at[1]]! += Number(data[place]);
      });
    });
    for (const [group, own] of slopes) {
      const sums = result.get(group)!;
      own.forEach((slope, i) => sums[i]! += slope * slope / batches.length);
    }
    onProgress({ label: "importance", done: done + 1, total: batches.length, unit: "batches" });
  }
  return result;
}

/** Of pictures and labels to "slope/T", for each tie Σ p · ∂loss/∂p along its axis. */
function gradientModel(channels: Channels, ties: readonly Channels["ties"][number][]): Uint8Array<ArrayBuffer> {
  const graph = copyGraph(channels.graph), weights = ties.map(({ value }) => graph.value(value.name));
  const loss = probabilityLoss({
    graph,
    output: (name = "") => graph.value(name),
    value: (name) => graph.value(name),
    input: (name, dtype, shape) => graph.input(name, dtype, shape),
  });
  const found = gradients(loss, weights);
  for (const output of [...graph.outputs]) graph.removeOutput(output);
  found.forEach((gradient, t) => {
    const axes = weights[t]!.shape.map((_, axis) => axis).filter((axis) => axis !== ties[t]!.axis);
    const each = mul(weights[t]!, gradient);
    graph.output(axes.length === 0 ? each : reduceSum(each, { axes, keepdims: false }), `slope/${t}`);
  });
  removeDead(graph);
  return toModel(graph);
}
