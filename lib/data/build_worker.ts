/** The worker of a build: raw files → stored picture, 416 x 416 JPEG and fingerprint, all from one decoding. */

import { join } from "node:path";
import sharp from "sharp";
import { InputError, Random, reason, serveJobs, sha256, writeAtomic } from "../runtime/mod.ts";
import { plainBackground, renderBackground } from "./backgrounds.ts";
import { composeSquare } from "./compose.ts";
import { type DecodedFile, type DecodedPicture, decodeFile, pictureSize } from "./decode.ts";
import { fingerprint } from "./fingerprint.ts";
import type { JournalRow, StoredFile, StoredPicture } from "./store.ts";
import { storeName } from "./store.ts";

// The pool is what runs in parallel; libvips's own threads and cache would only cost memory.
sharp.concurrency(1);
sharp.cache(false);

/** A few raw files, so that a message pays. */
export type BuildJob =
  | {
    readonly kind: "make";
    readonly files: readonly { readonly file: string; readonly frames: number }[];
    readonly store: string;
    readonly seed: number;
    readonly jpegQuality: number;
    /** See `settingsHash`. */
    readonly settings: string;
  }
  | { readonly kind: "hash"; readonly files: readonly { readonly file: string }[] };

/** The row of a file, or only its SHA-256 ("hash"), or why it cannot be read. */
export type BuildAnswer = { readonly row: JournalRow } | { readonly sha256: string } | { readonly unreadable: string };

serveJobs<BuildJob, BuildAnswer[]>(async (job) => {
  const answers: BuildAnswer[] = new Array(job.files.length);
  // Two at a time: while libvips decodes or encodes one on its thread, this thread composes the other.
  let next = 0;
  const lane = async () => {
    for (let index = next++; index < job.files.length; index = next++) {
      answers[index] = job.kind === "make" ? await make(job, job.files[index]!) : await hash(job.files[index]!.file);
    }
  };
  await Promise.all(job.kind === "make" ? [lane(), lane()] : [lane()]);
  return answers;
});

async function hash(file: string): Promise<BuildAnswer> {
  try {
    return { sha256: sha256(await Deno.readFile(file)) };
  } catch (error) {
    return { unreadable: unreadable(error) };
  }
}

const unreadable = (error: unknown) => `expected a file that can be read, found ${reason(error)}`;

type MakeJob = Extract<BuildJob, { kind: "make" }>;

async function make(job: MakeJob, { file, frames }: MakeJob["files"][number]): Promise<BuildAnswer> {
  let bytes: Uint8Array;
  try {
    bytes = await Deno.readFile(file);
  } catch (error) {
    return { unreadable: unreadable(error) };
  }
  const row = { sha256: sha256(bytes), frames, settings: job.settings };
  let decoded: DecodedFile;
  try {
    decoded = await decodeFile(bytes, frames);
  } catch (error) {
    if (error instanceof InputError) return { row: { ...row, pictures: [], cause: error.message } };
    throw error;
  }
  const pictures: StoredPicture[] = [];
  for (const picture of decoded.pictures) pictures.push(await finish(job, row.sha256, bytes, decoded, picture));
  return { row: { ...row, pictures } };
}

async function finish(
  job: MakeJob,
  raw: string,
  bytes: Uint8Array,
  decoded: DecodedFile,
  picture: DecodedPicture,
): Promise<StoredPicture> {
  const name = (extension: string) => storeName(raw, picture.frame, job.settings, extension);
  const { width, height, transparent, frame } = picture;
  const random = Random.seeded("picture", job.seed, raw, frame ?? 0);
  const background = transparent ? backgroundOf(job.seed, random.int(backgroundCount)) : padding;
  const square = composeSquare(picture, background, pictureSize, squares.pop());
  // Optimised Huffman tables would save 6 % of the bytes and cost three quarters of the time of encoding again.
  const jpeg = await sharp(square, { raw: { width: pictureSize, height: pictureSize, channels: 3 } })
    .jpeg({ quality: job.jpegQuality, optimiseCoding: false }).toBuffer();
  squares.push(square);
  const image = decoded.verbatim
    ? await put(job.store, name(decoded.verbatim), bytes)
    : await put(job.store, name("webp"), await encode(picture, decoded.exact));
  return {
    ...frame === undefined ? {} : { frame },
    width,
    height,
    transparent,
    fingerprint: fingerprint(picture),
    image,
    jpeg: await put(job.store, name("jpg").replace(/\.jpg$/, ".416.jpg"), jpeg),
  };
}

/** Pictures that were not resized keep every pixel; the others are encoded like photographs, their alpha exactly. */
function encode({ data, width, height, transparent }: DecodedPicture, exact: boolean): Promise<Uint8Array> {
  const image = sharp(data, { raw: { width, height, channels: 4 } });
  const opaque = transparent ? image : image.removeAlpha();
  return opaque.webp(exact ? { lossless: true, effort: 2 } : { quality: 90, alphaQuality: 100, effort: 2 }).toBuffer();
}

async function put(store: string, name: string, bytes: Uint8Array): Promise<StoredFile> {
  await writeAtomic(join(store, name), bytes);
  return { name, sha256: sha256(bytes), bytes: bytes.length };
}

/** Buffers used again: fresh ones of half a megabyte a picture would cost as much in page faults as composing does. */
const squares: Uint8Array[] = [];

/** Backgrounds in the set of a seed. */
const backgroundCount = 32;
/** Opaque pictures are padded with the grey of the YOLO tools (Ultralytics' LetterBox). */
const padding = plainBackground([114, 114, 114], pictureSize, pictureSize);

let set: { readonly seed: number; readonly drawn: (Uint8Array | undefined)[] } | undefined;

/** A background of the set (RGB); drawn once a worker, because drawing takes longer than everything else together. */
function backgroundOf(seed: number, index: number): Uint8Array {
  if (set?.seed !== seed) set = { seed, drawn: [] };
  return set.drawn[index] ??= renderBackground(Random.seeded("background", seed, index), pictureSize, pictureSize);
}
