/** Seeded random numbers: small, fast, splittable, and the same on every machine. */

/** The whole state of a generator: four 32-bit words. */
export type RandomState = readonly [number, number, number, number];

/**
 * A stream of pseudo-random numbers (sfc32: Chris Doty-Humphrey's "small fast counter", PractRand).
 * `fork(label)` derives an independent stream, so that work items can draw in any order and still
 * get the same numbers: the only right way to draw inside workers.
 */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  private constructor(state: RandomState) {
    [this.#a, this.#b, this.#c, this.#d] = state;
  }

  /** A stream from any labels: numbers and strings, in order. The same labels give the same stream. */
  static seeded(...labels: readonly (string | number)[]): Random {
    const random = new Random([...hash128(labels.map(String).join("\u0000"))] as unknown as RandomState);
    for (let i = 0; i < 12; i++) random.uint32();
    return random;
  }

  /** Continues a stream where `state` was taken. */
  static fromState(state: RandomState): Random {
    return new Random(state);
  }

  get state(): RandomState {
    return [this.#a, this.#b, this.#c, this.#d];
  }

  /** An independent stream that depends on this one's present state and the labels; this one does not move. */
  fork(...labels: readonly (string | number)[]): Random {
    return Random.seeded(...this.state, ...labels);
  }

  /** An integer in [0, 2^32). */
  uint32(): number {
    const t = (this.#a + this.#b + this.#d) >>> 0;
    this.#d = (this.#d + 1) >>> 0;
    this.#a = (this.#b ^ (this.#b >>> 9)) >>> 0;
    this.#b = (this.#c + (this.#c << 3)) >>> 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + t) >>> 0;
    return t;
  }

  /** A number in [low, high), 32 bits of resolution. */
  uniform(low = 0, high = 1): number {
    return low + (high - low) * (this.uint32() / 4294967296);
  }

  /** An integer in [0, n), without modulo bias. Throws RangeError unless n is an integer in 1 … 2^32. */
  int(n: number): number {
    if (!Number.isInteger(n) || n < 1 || n > 4294967296) {
      throw new RangeError(`int(n): expected 1 … 2^32, found ${n}`);
    }
    const limit = 4294967296 - (4294967296 % n);
    let x: number;
    do x = this.uint32(); while (x >= limit);
    return x % n;
  }

  /** A number from the normal distribution (Box and Muller 1958). */
  normal(mean = 0, deviation = 1): number {
    const u = 1 - this.uniform();
    return mean + deviation * Math.sqrt(-2 * Math.log(u)) * Math.cos(2 * Math.PI * this.uniform());
  }

  /** True with probability p. */
  chance(p: number): boolean {
    return this.uniform() < p;
  }

  /** One of the items. Throws RangeError when there is none. */
  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new RangeError("pick(items): expected at least one item, found none");
    return items[this.int(items.length)] as T;
  }

  /** A new array with the items in random order (Fisher and Yates). */
  shuffle<T>(items: Iterable<T>): T[] {
    const result = [...items];
    for (let i = result.length - 1; i > 0; i--) {
      const j = this.int(i + 1);
      [result[i], result[j]] = [result[j] as T, result[i] as T];
    }
    return result;
  }
}

/** Four 32-bit words from a text (cyrb128: bit mixing after MurmurHash3; not for secrets). */
function hash128(text: string): [number, number, number, number] {
  let h1 = 1779033703, h2 = 3144134277, h3 = 1013904242, h4 = 2773480762;
  for (let i = 0; i < text.length; i++) {
    const k = text.charCodeAt(i);
    h1 = h2 ^ Math.imul(h1 ^ k, 597399067);
    h2 = h3 ^ Math.imul(h2 ^ k, 2869860233);
    h3 = h4 ^ Math.imul(h3 ^ k, 951274213);
    h4 = h1 ^ Math.imul(h4 ^ k, 2716044179);
  }
  h1 = Math.imul(h3 ^ (h1 >>> 18), 597399067);
  h2 = Math.imul(h4 ^ (h2 >>> 22), 2869860233);
  h3 = Math.imul(h1 ^ (h3 >>> 17), 951274213);
  h4 = Math.imul(h2 ^ (h4 >>> 19), 2716044179);
  h1 ^= h2 ^ h3 ^ h4;
  h2 ^= h1;
  h3 ^= h1;
  h4 ^= h1;
  return [h1 >>> 0, h2 >>> 0, h3 >>> 0, h4 >>> 0];
}
