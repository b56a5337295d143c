/** Cached features of pictures, joined only where it is the same pictures, split and classes. */

import { InputError, sha256, type Tensor, tensor } from "../../runtime/mod.ts";

/** A model that made features. */
export interface ModelIdentity {
  /** For people. */
  readonly name: string;
  /** SHA-256 of all that decides what it gives. */
  readonly identity: string;
}

/** What is the same of all features of a split. */
export interface FeatureRows {
  /** The class of each picture: an index into `dex`. */
  readonly labels: Int32Array;
  /** The picture of each row: its id in the manifest, or SHA-256 of the raw file. */
  readonly pictures: readonly string[];
  /** The dex number of each class. */
  readonly dex: readonly number[];
  /** "train", "validation", "test", and `splitHash` of the whole data set's split. */
  readonly split: { readonly name: string; readonly hash: string };
}

/** Features of a picture network. */
export interface VisualFeatures extends FeatureRows {
  /** [N, Cᵢ] each, the finest scale first (`backboneFeatures`). */
  readonly visual: readonly Tensor<"float32">[];
  readonly model: ModelIdentity;
}

/** Embeddings of an image tower. */
export interface EmbeddedPictures extends FeatureRows {
  /** [N, D], rows of length 1. */
  readonly embedding: Tensor<"float32">;
  readonly model: ModelIdentity;
}

/** Both. */
export interface HybridFeatures extends FeatureRows {
  readonly visual: readonly Tensor<"float32">[];
  readonly embedding: Tensor<"float32">;
  readonly models: { readonly visual: ModelIdentity; readonly embedding: ModelIdentity };
}

/**
 * Joins features of the same pictures. The embeddings are brought into the order of the picture network's rows and classes. Throws
 * InputError, in one line that names both models, for another split, other pictures, other classes, or a picture that shows another
 * species.
 */
export function joinFeatures(seen: VisualFeatures, told: EmbeddedPictures): HybridFeatures {
  const { visual, labels, pictures, dex, split } = seen, n = pictures.length;
  const refuse = (expected: string, found: string) =>
    new InputError(`features of ${seen.model.name} and ${told.model.name}: expected ${expected}, found ${found}`);
  expectRows(seen.model.name, seen, visual);
  expectRows(told.model.name, told, [told.embedding]);
  const named = ({ name, hash }: FeatureRows["split"]) => `${name} of split ${hash.slice(0, 12)}`;
  if (named(split) !== named(told.split) || split.hash !== told.split.hash) {
    throw refuse(`one split, ${named(split)}`, named(told.split));
  }
  const known = new Set(told.dex), other = dex.find((number) => !known.has(number));
  if (known.size !== new Set(dex).size || other !== undefined) {
    throw refuse(
      `the same ${dex.length} species`,
      other === undefined ? `${told.dex.length}` : `no species ${other} of the second`,
    );
  }
  if (told.pictures.length !== n) throw refuse(`the same ${n} pictures`, `${told.pictures.length}`);
  const rowOf = new Map(told.pictures.map((picture, row) => [picture, row]));
  const width = told.embedding.shape[1]!, embedding = new Float32Array(n * width);
  for (const [to, picture] of pictures.entries()) {
    const row = rowOf.get(picture);
    if (row === undefined) throw refuse(`picture ${picture} of both`, "none of the second");
    const [own, theirs] = [dex[labels[to]!], told.dex[told.labels[row]!]];
    if (own !== theirs) throw refuse(`picture ${picture} to show species ${own}`, `${theirs}`);
    embedding.set(told.embedding.data.subarray(row * width, (row + 1) * width), to * width);
  }
  return {
    ...{ visual, labels, pictures, dex, split },
    embedding: tensor("float32", [n, width], embedding),
    models: { visual: seen.model, embedding: told.model },
  };
}

/** Throws InputError, naming both, unless two sets of features are of one split's parts, of the same models, classes and widths. */
export function expectSameKind(first: HybridFeatures, second: HybridFeatures): void {
  const pair = `features of ${first.split.name} and ${second.split.name}`;
  for (const which of ["visual", "embedding"] as const) {
    const [a, b] = [first.models[which], second.models[which]];
    if (a.identity === b.identity) continue;
    throw new InputError(
      `${pair}: expected one ${which} model, found ${a.name} (${a.identity.slice(0, 12)}) and ${b.name} (${
        b.identity.slice(0, 12)
      })`,
    );
  }
  if (first.split.hash !== second.split.hash) {
    throw new InputError(
      `${pair}: expected one split, found ${first.split.hash.slice(0, 12)} and ${second.split.hash.slice(0, 12)}`,
    );
  }
  if (String(first.dex) !== String(second.dex)) {
    throw new InputError(`${pair}: expected the same classes in one order, found others; see withClasses`);
  }
  const [a, b] = [first, second].map(({ visual, embedding }) => [...visual, embedding].map(({ shape }) => shape[1]));
  if (String(a) !== String(b)) throw new InputError(`${pair}: expected widths ${a}, found ${b}`);
}

/** The features with labels that count the classes of `dex`. Throws InputError where a picture shows none of them. */
export function withClasses<Rows extends FeatureRows>(features: Rows, dex: readonly number[]): Rows {
  const columnOf = new Map(dex.map((number, column) => [number, column]));
  const labels = features.labels.map((label, row) => {
    const column = columnOf.get(features.dex[label]!);
    if (column !== undefined) return column;
    throw new InputError(
      `features of ${features.split.name}: expected species of the ${dex.length} classes, found ${
        features.dex[label]
      } on picture ${features.pictures[row]}`,
    );
  });
  return { ...features, labels, dex };
}

/** SHA-256 of features: their numbers, pictures, labels, classes, split and models. */
export function featuresHash({ visual, embedding, labels, pictures, dex, split, models }: HybridFeatures): string {
  return sha256(JSON.stringify([
    ...[[...visual, embedding].map(tensorHash), bytesHash(labels), pictures, dex, split.name, split.hash],
    ...[models.visual.identity, models.embedding.identity],
  ]));
}

/** Shape and SHA-256 of the numbers of a tensor. */
export function tensorHash({ shape, data }: Tensor<"float32">): string {
  return `${shape.join(" x ")} ${bytesHash(data)}`;
}

function bytesHash({ buffer, byteOffset, byteLength }: Float32Array | Int32Array): string {
  return sha256(new Uint8Array(buffer, byteOffset, byteLength));
}

/** Throws InputError unless every tensor has a row for each picture, and every picture one label of a class. */
function expectRows(model: string, { labels, pictures, dex }: FeatureRows, tensors: readonly Tensor[]): void {
  const n = pictures.length;
  const odd = tensors.find(({ shape }) => shape.length !== 2 || shape[0] !== n);
  if (tensors.length === 0 || odd || labels.length !== n) {
    throw new InputError(
      `features of ${model}: expected features [${n}, width] and ${n} labels, found ${
        odd ? `[${odd.shape}]` : `${tensors.length} tensors`
      } and ${labels.length}`,
    );
  }
  if (new Set(pictures).size !== n) {
    throw new InputError(`features of ${model}: expected a row a picture, found several`);
  }
  const label = labels.find((each) => !(each >= 0 && each < dex.length));
  if (label !== undefined) {
    throw new InputError(`features of ${model}: expected labels below ${dex.length}, found ${label}`);
  }
}
