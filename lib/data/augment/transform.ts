/** Transforms of batches: what one is, and how they are put together. */

import type { Random } from "../../runtime/mod.ts";
import type { Sample } from "./sample.ts";

/** Plain data that describes a transform: it can stand in a YAML file and travel to a worker. */
export type OptionValue = number | string | boolean | readonly OptionValue[] | { readonly [name: string]: OptionValue };

export interface TransformSpec {
  readonly name: string;
  readonly options: { readonly [name: string]: OptionValue };
}

/**
 * One step of an augmentation. It takes the samples of a batch and gives as many back, in the same order; it may change
 * them. All its chance comes from `random`.
 */
export interface Transform extends TransformSpec {
  apply(samples: Sample[], random: Random): Sample[] | Promise<Sample[]>;
}

/** A transform that treats each sample alone, with a stream of its own. */
export function eachSample(
  name: string,
  options: TransformSpec["options"],
  change: (sample: Sample, random: Random) => void | Promise<void>,
): Transform {
  return {
    name,
    options,
    apply(samples, random) {
      const waiting: Promise<void>[] = [];
      for (const [index, sample] of samples.entries()) {
        const pending = change(sample, random.fork(index));
        if (pending) waiting.push(pending);
      }
      return waiting.length ? Promise.all(waiting).then(() => samples) : samples;
    },
  };
}

/** One transform after another. Each draws from its own stream, so a change of one leaves the others' draws alone. */
export function chain(...transforms: readonly Transform[]): Transform {
  return {
    name: "chain",
    options: { transforms: transforms.map(describeTransform) as unknown as OptionValue },
    async apply(samples, random) {
      let result = samples;
      for (const [index, transform] of transforms.entries()) {
        const next = transform.apply(result, random.fork(index, transform.name));
        result = next instanceof Promise ? await next : next;
      }
      return result;
    },
  };
}

/** Applies a transform to each sample with a probability. */
export function sometimes(probability: number, transform: Transform): Transform {
  return {
    name: "sometimes",
    options: { probability, transform: describeTransform(transform) as unknown as OptionValue },
    apply: (samples, random) =>
      applyToChosen(
        samples,
        (index) => random.fork("choose", index).chance(probability) ? transform : undefined,
        random,
      ),
  };
}

/** Applies one of the transforms to each sample, each as likely as the others. */
export function oneOf(...transforms: readonly Transform[]): Transform {
  return {
    name: "oneOf",
    options: { transforms: transforms.map(describeTransform) as unknown as OptionValue },
    apply: (samples, random) =>
      applyToChosen(samples, (index) => random.fork("choose", index).pick(transforms), random),
  };
}

/** Leaves the samples as they are. */
export function unchanged(): Transform {
  return { name: "unchanged", options: {}, apply: (samples) => samples };
}

/** The plain data of a transform; `reviveTransform` makes it a transform again. */
export function describeTransform({ name, options }: TransformSpec): TransformSpec {
  return { name, options };
}

async function applyToChosen(
  samples: Sample[],
  choose: (index: number) => Transform | undefined,
  random: Random,
): Promise<Sample[]> {
  const members = new Map<Transform, number[]>();
  for (let index = 0; index < samples.length; index++) {
    const transform = choose(index);
    if (!transform) continue;
    const indices = members.get(transform);
    if (indices) indices.push(index);
    else members.set(transform, [index]);
  }
  const result = [...samples];
  let turn = 0;
  for (const [transform, indices] of members) {
    const changed = await transform.apply(indices.map((index) => samples[index]!), random.fork("apply", turn++));
    for (const [at, index] of indices.entries()) result[index] = changed[at]!;
  }
  return result;
}
