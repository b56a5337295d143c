/** Sums of the gradients that reach a value from all its uses. */

import { concat, expand, isStatic, pad, type Value } from "../onnx/mod.ts";
import { plus } from "./simplify.ts";

/**
 * A gradient that is zero but for a part along one axis: what Slice, Gather of one index and an output of Split give.
 * Several parts of one value that do not overlap are joined by one Concat instead of being padded and added.
 */
export class Part {
  readonly value: Value;
  readonly axis: number;
  /** How many zeros stand before and after the part; the sum with the part's size is the whole's. */
  readonly before: number;
  readonly after: number;

  /** `value` has the whole's sizes on all other axes. */
  constructor(value: Value, axis: number, before: number, after: number) {
    this.value = value;
    this.axis = axis;
    this.before = before;
    this.after = after;
  }

  /** Where the part ends: the first element behind it. */
  get end(): number {
    return this.before + (this.value.shape[this.axis] as number);
  }
}

/** Gradients by forward value, summed as they come. */
export class Accumulator {
  readonly #sums = new Map<Value, Value>();
  readonly #parts = new Map<Value, Part[]>();

  /** Adds a gradient to what a value has. */
  add(value: Value, gradient: Value | Part): void {
    if (gradient instanceof Part) {
      const parts = this.#parts.get(value);
      if (parts) parts.push(gradient);
      else this.#parts.set(value, [gradient]);
      return;
    }
    const known = this.#sums.get(value);
    this.#sums.set(value, known ? plus(known, gradient) : gradient);
  }

  /** The sum of all gradients of a value, broadcastable to its shape; undefined when none came. */
  get(value: Value): Value | undefined {
    const parts = this.#parts.get(value);
    if (parts) {
      this.#parts.delete(value);
      for (const whole of joined(parts)) this.add(value, whole);
    }
    return this.#sums.get(value);
  }
}

/** Parts as whole gradients: those that lie beside one another on an axis in one Concat, with zeros in the gaps. */
function joined(parts: readonly Part[]): Value[] {
  const result: Value[] = [];
  for (const axis of new Set(parts.map((part) => part.axis))) {
    let left = parts.filter((part) => part.axis === axis).sort((a, b) => a.before - b.before);
    while (left.length > 0) {
      const row: Part[] = [], overlapping: Part[] = [];
      for (const part of left) (part.before >= (row.at(-1)?.end ?? 0) ? row : overlapping).push(part);
      result.push(whole(row, axis));
      left = overlapping;
    }
  }
  return result;
}

function whole(row: readonly Part[], axis: number): Value {
  const first = row[0]!, total = first.end + first.after;
  const { graph, dtype, shape } = first.value;
  const gapless = row.every((part, i) => part.before === (row[i - 1]?.end ?? 0)) && row.at(-1)!.end === total;
  if (row.length === 1 || (!gapless && !isStatic(shape))) {
    return row.map((part) => padAlong(part, axis)).reduce((sum, part) => plus(sum, part));
  }
  const pieces: Value[] = [];
  const fill = (from: number, to: number) => {
    if (from === to) return;
    pieces.push(expand(graph.constant(0, { dtype }), (shape as readonly number[]).with(axis, to - from)));
  };
  let at = 0;
  for (const part of row) {
    fill(at, part.before);
    pieces.push(part.value);
    at = part.end;
  }
  fill(at, total);
  return concat(pieces, axis);
}

function padAlong({ value, before, after }: Part, axis: number): Value {
  if (before === 0 && after === 0) return value;
  const pads = new Array<number>(2 * value.rank).fill(0);
  pads[axis] = before;
  pads[axis + value.rank] = after;
  return pad(value, pads);
}
