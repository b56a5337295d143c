/** A classifier by prototypes: species come and go without training. */

import { encodeSafetensors, OnnxError, readSafetensors } from "../../onnx/mod.ts";
import { ensureParent, InputError, type Tensor, tensor, writeAtomic } from "../../runtime/mod.ts";

/**
 * So many pictures the text of a species counts as. Zero-shot CLIP is on average over 27 data sets as good as a linear
 * classifier on 4 pictures a class (Radford et al. 2021, "CLIP", figure 6).
 */
const TEXT_PICTURES = 4;

/** A species to add. */
export interface NewSpecies {
  readonly name: string;
  /** Embeddings of one or several texts of it, [T, D]. */
  readonly texts?: Tensor<"float32"> | undefined;
  /** Embeddings of pictures of it, [P, D]. */
  readonly pictures?: Tensor<"float32"> | undefined;
}

/** One species that an embedding may be. */
export interface SpeciesGuess {
  readonly name: string;
  /** The cosine of embedding and prototype. */
  readonly cosine: number;
  /** exp(scale · cosine) as a share of that of all species. */
  readonly score: number;
}

/** Settings of `OpenSpecies`. */
export interface OpenSpeciesOptions {
  /** Numbers of an embedding. */
  readonly dimension: number;
  /** What cosines are multiplied by before the softmax; of an `Encoder`, its `logitScale`. */
  readonly scale: number;
  /**
   * Where pictures lie from texts, [dimension]: the mean embedding of pictures less the mean prototype. Both lie in cones of their
   * own (Liang et al. 2022, "Mind the Gap"), so that a prototype of pictures would be nearer to every picture than any text's is;
   * it is taken off pictures that become a prototype. Default: none.
   */
  readonly gap?: Float32Array | undefined;
}

/** The metadata of a file that `save` writes. */
const FORMAT = "pokedex-prototypes-1";

/** Prototypes of species, vectors of length 1; an embedding is of the species whose prototype is nearest to it. */
export class OpenSpecies {
  readonly dimension: number;
  readonly scale: number;
  readonly #gap: Float32Array;
  readonly #prototypes = new Map<string, Float32Array>();

  /** Without species. Throws InputError for a dimension or a scale that cannot be. */
  constructor({ dimension, scale, gap = new Float32Array(dimension) }: OpenSpeciesOptions) {
    if (!(Number.isInteger(dimension) && dimension >= 1)) {
      throw new InputError(`species: expected a dimension from 1, found ${dimension}`);
    }
    if (!(scale > 0 && Number.isFinite(scale))) {
      throw new InputError(`species: expected a scale above 0, found ${scale}`);
    }
    if (gap.length !== dimension || !gap.every(Number.isFinite)) {
      throw new InputError(`species: expected a gap of ${dimension} finite numbers, found ${gap.length} numbers`);
    }
    this.dimension = dimension;
    this.scale = scale;
    this.#gap = gap;
  }

  /** The species, in the order in which they were added. */
  get names(): readonly string[] {
    return [...this.#prototypes.keys()];
  }

  /** [C, D], a row a species, of length 1. */
  get prototypes(): Tensor<"float32"> {
    return stacked([...this.#prototypes.values()], this.dimension);
  }

  /**
   * Adds a species. Its prototype is the direction of textPictures · t + Σ xᵢ: t the mean of the texts and xᵢ the pictures, all at
   * length 1. That is the most likely mean direction of the pictures (von Mises-Fisher) where the text is a prior
   * direction worth so many pictures (Mardia and El-Atoum 1976): with few pictures the text decides, with many they do. Default
   * of `textPictures`: 4. From each picture the gap is taken first.
   *
   * Throws InputError for a name that is taken or empty, without text and picture, for embeddings of another size or with numbers
   * that are not finite, and where they cancel each other out.
   */
  add(
    { name, texts, pictures }: NewSpecies,
    { textPictures = TEXT_PICTURES }: { readonly textPictures?: number } = {},
  ): void {
    const place = `species "${name}"`;
    if (name.trim() === "") throw new InputError("species: expected a name, found none");
    if (this.#prototypes.has(name)) {
      throw new InputError(`${place}: expected a new name, found it taken; remove it first`);
    }
    if (!(textPictures > 0)) throw new InputError(`${place}: expected textPictures above 0, found ${textPictures}`);
    const sum = new Float64Array(this.dimension);
    if (texts && texts.shape[0] !== 0) {
      const mean = new Float64Array(this.dimension);
      for (const row of this.#rows(texts, `${place}: texts`)) accumulate(mean, row, 1);
      accumulate(sum, unit(mean, `${place}: texts`), textPictures);
    }
    for (const row of pictures ? this.#rows(pictures, `${place}: pictures`) : []) {
      accumulate(sum, row, 1);
      accumulate(sum, this.#gap, -1);
    }
    if (!texts?.shape[0] && !pictures?.shape[0]) {
      throw new InputError(`${place}: expected a text or a picture, found neither`);
    }
    this.#prototypes.set(name, Float32Array.from(unit(sum, place)));
  }

  /** Takes a species away. Throws InputError for one that is not there. */
  remove(name: string): void {
    if (!this.#prototypes.delete(name)) {
      throw new InputError(`species "${name}": expected one of ${this.#prototypes.size}, found none of that name`);
    }
  }

  /** The likeliest species of each embedding [N, D], of any length, the likeliest first; at most `top` of them (default: 5). */
  classify(embeddings: Tensor<"float32">, top = 5): SpeciesGuess[][] {
    if (!(Number.isInteger(top) && top >= 1)) {
      throw new InputError(`species: expected at least one guess, found ${top}`);
    }
    if (this.#prototypes.size === 0) throw new InputError("species: expected at least one species, found none");
    const known = [...this.#prototypes];
    return [...this.#rows(embeddings, "species: embeddings")].map((row) => {
      const all = known.map(([name, prototype]) => ({ name, cosine: dot(row, prototype) }));
      const best = all.reduce((most, { cosine }) => Math.max(most, cosine), -1);
      const powers = all.map(({ cosine }) => Math.exp(this.scale * (cosine - best)));
      const sum = powers.reduce((a, b) => a + b);
      return all.map((each, i) => ({ ...each, score: powers[i]! / sum }))
        .sort((a, b) => b.cosine - a.cosine).slice(0, top);
    });
  }

  /** Writes all prototypes as safetensors: "prototypes" [C, D] and "gap" [D], the names beside them. */
  async save(path: string): Promise<void> {
    const bytes = encodeSafetensors([["prototypes", this.prototypes], [
      "gap",
      tensor("float32", [this.dimension], this.#gap),
    ]], {
      ...{ format: FORMAT, scale: String(this.scale), names: JSON.stringify(this.names) },
    });
    await ensureParent(path);
    await writeAtomic(path, bytes);
  }

  /** Reads what `save` wrote. Throws InputError in one line for a file that is missing, cut or something else. */
  static async load(path: string): Promise<OpenSpecies> {
    const fail = (expected: string, found: string) => new InputError(`${path}: expected ${expected}, found ${found}`);
    const { tensors, metadata } = await readSafetensors(path).catch((error) => {
      throw error instanceof OnnxError ? new InputError(error.message, { cause: error }) : error;
    });
    if (metadata.format !== FORMAT) throw fail(`prototypes ("${FORMAT}")`, `"${metadata.format ?? ""}"`);
    const found = tensors.get("prototypes"), names = namesIn(metadata.names ?? "");
    const gap = tensors.get("gap")?.data as Float32Array | undefined;
    const isRight = found?.dtype === "float32" && gap instanceof Float32Array && found.shape.length === 2 &&
      names?.length === found.shape[0];
    if (!isRight || !names) {
      throw fail(
        "prototypes [C, D], a gap [D] and a name for each",
        `${found ? `${found.dtype} [${found.shape.join(", ")}]` : "none"} and ${names?.length ?? "no"} names`,
      );
    }
    const species = new OpenSpecies({ dimension: found.shape[1]!, scale: Number(metadata.scale), gap });
    for (const [i, row] of [...species.#rows(found as Tensor<"float32">, path)].entries()) {
      if (species.#prototypes.has(names[i]!)) throw fail("each name once", `"${names[i]}" again`);
      species.#prototypes.set(names[i]!, Float32Array.from(row));
    }
    return species;
  }

  /** The rows at length 1. */
  *#rows({ shape, data }: Tensor<"float32">, place: string): Generator<Float64Array> {
    const [count = 0, size] = shape;
    if (shape.length !== 2 || size !== this.dimension) {
      throw new InputError(`${place}: expected embeddings [N, ${this.dimension}], found [${shape.join(", ")}]`);
    }
    for (let i = 0; i < count; i++) {
      yield unit(Float64Array.from(data.subarray(i * size, (i + 1) * size)), `${place} ${i}`);
    }
  }
}

/** Vectors as rows [C, D]. */
function stacked(rows: readonly Float32Array[], dimension: number): Tensor<"float32"> {
  const data = new Float32Array(rows.length * dimension);
  rows.forEach((row, i) => data.set(row, i * dimension));
  return tensor("float32", [rows.length, dimension], data);
}

function accumulate(sum: Float64Array, row: Float64Array | Float32Array, weight: number): void {
  for (let i = 0; i < sum.length; i++) sum[i]! += weight * row[i]!;
}

/** Below it a sum of vectors of length 1 has no direction but rounding's. */
const NO_DIRECTION = 1e-6;

function unit(row: Float64Array, place: string): Float64Array {
  const length = Math.sqrt(dot(row, row));
  if (!(length > NO_DIRECTION && Number.isFinite(length))) {
    throw new InputError(`${place}: expected a vector with a direction, found one of length ${length}`);
  }
  return row.map((x) => x / length);
}

function dot(a: Float64Array, b: Float64Array | Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

function namesIn(text: string): string[] | undefined {
  try {
    const names: unknown = JSON.parse(text);
    return Array.isArray(names) && names.every((name) => typeof name === "string") ? names : undefined;
  } catch {
    return undefined;
  }
}
