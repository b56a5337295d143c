/** Batches of tensors by input name: checked before a step, split into micro-batches. */

import { elementCount, isFloat, type Tensor } from "../onnx/mod.ts";
import { TrainError } from "./errors.ts";
import { checkIntegers } from "./losses/accepted.ts";
import type { FedInput } from "./step_plan.ts";

/** One tensor for each input of the model and the loss. */
export type Batch = Readonly<Record<string, Tensor>>;

/**
 * Checks a batch against the inputs: all there and no other, types, sizes, one size for each symbol, integers in range.
 * Throws TrainError that names the input, the expectation and the finding.
 */
export function checkBatch(batch: Batch, inputs: readonly FedInput[]): void {
  const sizes = new Map<string, { size: number; name: string }>();
  for (const { name, dtype, shape, accepted } of inputs) {
    const fed = batch[name];
    if (!fed) throw new TrainError(`batch: expected a tensor for input "${name}", found none`);
    if (fed.dtype !== dtype || fed.shape.length !== shape.length) throw misfit(name, dtype, shape, fed);
    if (fed.data.length !== elementCount(fed.shape)) {
      throw new TrainError(
        `batch: input "${name}": expected ${elementCount(fed.shape)} elements, found ${fed.data.length}`,
      );
    }
    shape.forEach((dim, i) => {
      const size = fed.shape[i]!;
      if (typeof dim === "number") {
        if (dim !== size) throw misfit(name, dtype, shape, fed);
        return;
      }
      const known = sizes.get(dim);
      if (known && known.size !== size) {
        throw new TrainError(
          `batch: expected one size for ${dim}, found ${known.size} in "${known.name}" and ${size} in "${name}"`,
        );
      }
      sizes.set(dim, { size, name });
    });
    if (accepted) checkIntegers(name, fed, accepted);
  }
  for (const name of Object.keys(batch)) {
    if (inputs.some((input) => input.name === name)) continue;
    throw new TrainError(`batch: expected inputs ${inputs.map((input) => input.name).join(", ")}, found "${name}"`);
  }
}

/** The size of each symbol in a checked batch. */
export function symbolSizes(batch: Batch, inputs: readonly FedInput[]): Map<string, number> {
  const sizes = new Map<string, number>();
  for (const { name, shape } of inputs) {
    shape.forEach((dim, i) => {
      if (typeof dim === "string") sizes.set(dim, batch[name]!.shape[i]!);
    });
  }
  return sizes;
}

/**
 * Splits every tensor of a batch along its first dimension into `count` equal parts, views of the same memory. Throws
 * TrainError when a first dimension cannot be split so.
 */
export function splitBatch(batch: Batch, count: number): Batch[] {
  if (count === 1) return [batch];
  const parts: Record<string, Tensor>[] = Array.from({ length: count }, () => ({}));
  for (const [name, { dtype, shape, data }] of Object.entries(batch)) {
    const [first, ...rest] = shape;
    if (first === undefined || first % count !== 0) {
      throw new TrainError(
        `batch: input "${name}": expected a first dimension that is a multiple of ${count} micro-batches, found [${
          shape.join(", ")
        }]`,
      );
    }
    const size = first / count, length = size * elementCount(rest);
    parts.forEach((part, i) => {
      const own = (data as Float32Array).subarray(i * length, (i + 1) * length);
      part[name] = { dtype, shape: [size, ...rest], data: own };
    });
  }
  return parts;
}

/** The first element of a batch that is NaN or infinite, in words; undefined when there is none. */
export function nonFiniteElement(batch: Batch): string | undefined {
  for (const [name, { dtype, data }] of Object.entries(batch)) {
    if (!isFloat(dtype) || dtype === "bfloat16") continue;
    const place = (data as Float32Array).findIndex((element) => !Number.isFinite(element));
    if (place >= 0) return `input "${name}" holds ${data[place]} at place ${place}`;
  }
  return undefined;
}

function misfit(name: string, dtype: string, shape: readonly (number | string)[], fed: Tensor): TrainError {
  return new TrainError(
    `batch: input "${name}": expected ${dtype} [${shape.join(", ")}], found ${fed.dtype} [${fed.shape.join(", ")}]`,
  );
}
