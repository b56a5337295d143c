/** Whether a model's files work: probes that a broken quantisation does not pass. The verdict is kept. */

import { join } from "node:path";
import { z } from "zod";
import type { Picture } from "../../data/mod.ts";
import { ensureParent, Random, type Tensor, writeAtomic } from "../../runtime/mod.ts";

/** Probes of each kind. */
const PROBES = 6;

/**
 * The least mean cosine of a precision's embeddings with fp32's. Good 8-bit files reach 0.99 and more; at 0.98 an embedding has
 * turned by 11°, so that its cosine with a text at the usual 75° may move by 0.98·cos 75° ± 0.2·sin 75° ≈ ±0.19 at worst and by
 * ±0.2/√512 ≈ ±0.009 in a random direction of 512: as much as what separates two similar classes. Files that are broken fall far
 * below. Every probe must also stay nearer to its own fp32 embedding than to any other probe's.
 */
export const leastCosine = 0.98;

/** Above this cosine two different probes count as one: the model does not look at its input. */
const SAME = 0.99999;

/** What was found out about a model's files. */
export interface Verdict {
  /** "fp32": it is fp32; "compared": with fp32; "sane": fp32 was not there, its embeddings only differ from input to input. */
  readonly method: "fp32" | "compared" | "sane";
  /** Mean cosine with fp32, of pictures and of texts; only of "compared". */
  readonly pictures?: number | undefined;
  readonly texts?: number | undefined;
  /** Why the files must not be used; absent where they may. */
  readonly fault?: string | undefined;
}

const verdictSchema = z.strictObject({
  method: z.enum(["fp32", "compared", "sane"]),
  pictures: z.number().optional(),
  texts: z.number().optional(),
  fault: z.string().optional(),
});

/** The embeddings of the probes. */
export interface ProbeRows {
  readonly pictures: Tensor<"float32">;
  readonly texts: Tensor<"float32">;
}

/** Seeded pictures, no two alike: a ground and some bars in other colours. */
export function probePictures(): Picture[] {
  const side = 64;
  return Array.from({ length: PROBES }, (_, n) => {
    const random = Random.seeded("encoder probe", n);
    const data = new Uint8ClampedArray(4 * side * side);
    const colour = () => [random.int(256), random.int(256), random.int(256)];
    const fill = ([r, g, b]: number[], x0: number, y0: number, x1: number, y1: number) => {
      for (let y = y0; y < y1; y++) for (let x = x0; x < x1; x++) data.set([r!, g!, b!, 255], 4 * (side * y + x));
    };
    fill(colour(), 0, 0, side, side);
    for (let bar = 0; bar < 4; bar++) {
      const [x, y] = [random.int(side - 8), random.int(side - 8)];
      fill(colour(), x, y, x + 8 + random.int(side - x - 7), y + 8 + random.int(side - y - 7));
    }
    return { width: side, height: side, data, opaque: true };
  });
}

/** Texts, no two alike. */
export const probeTexts: readonly string[] = [
  "a photo of a red dragon",
  "a blue turtle in the water",
  "a drawing of a yellow mouse",
  "a green plant",
  "a sprite of a purple ghost in the night",
  "white snow on a black mountain",
].slice(0, PROBES);

/** Judges the rows of a precision, against fp32's where they are there. */
export function judgeProbes(rows: ProbeRows, reference: ProbeRows | undefined, isFp32: boolean): Verdict {
  for (const [kind, found] of [["pictures", rows.pictures], ["texts", rows.texts]] as const) {
    const same = closest(found);
    if (same > SAME) {
      const fault = `the same embedding for different ${kind} (cosine ${same.toFixed(5)})`;
      return { method: isFp32 ? "fp32" : reference ? "compared" : "sane", fault };
    }
  }
  if (isFp32) return { method: "fp32" };
  if (!reference) return { method: "sane" };
  const pictures = agreement(rows.pictures, reference.pictures), texts = agreement(rows.texts, reference.texts);
  const low = pictures.mean < leastCosine || texts.mean < leastCosine;
  const fault = low || !pictures.own || !texts.own
    ? `a mean cosine with fp32 of ${pictures.mean.toFixed(3)} for pictures and ${texts.mean.toFixed(3)} for texts${
      low ? "" : ", but some nearer to another's"
    }`
    : undefined;
  return {
    method: "compared",
    pictures: pictures.mean,
    texts: texts.mean,
    ...(fault === undefined ? {} : { fault }),
  };
}

/** Mean cosine of rows of length 1 with the rows of the same number, and whether each is nearest to its own. */
function agreement(rows: Tensor<"float32">, reference: Tensor<"float32">): { mean: number; own: boolean } {
  if (reference.shape[1] !== rows.shape[1]) return { mean: 0, own: false };
  const table = products(rows, reference);
  return {
    mean: table.reduce((sum, row, i) => sum + row[i]!, 0) / table.length,
    own: table.every((row, i) => row.every((each, j) => j === i || each < row[i]!)),
  };
}

/** The largest cosine of two different rows. */
function closest(rows: Tensor<"float32">): number {
  return Math.max(...products(rows, rows).flatMap((row, i) => row.slice(0, i)));
}

/** Dot products of each row of `a` with each of `b`, [N, M]: cosines where the rows have length 1. */
export function products(a: Tensor<"float32">, b: Tensor<"float32">): number[][] {
  const [n, width] = a.shape as [number, number];
  return Array.from({ length: n }, (_, i) =>
    Array.from({ length: b.shape[0]! }, (_, j) => {
      let sum = 0;
      for (let d = 0; d < width; d++) sum += a.data[i * width + d]! * b.data[j * width + d]!;
      return sum;
    }));
}

/** The verdict kept for `key` in a cache folder; undefined when there is none that can be read. */
export async function keptVerdict(cacheFolder: string, key: string): Promise<Verdict | undefined> {
  try {
    return verdictSchema.parse(JSON.parse(await Deno.readTextFile(verdictPath(cacheFolder, key))));
  } catch {
    return undefined; // none, or cut: the probes are run again
  }
}

/** Keeps a verdict; a cache folder that cannot be written costs only the probes at the next time. */
export async function keepVerdict(cacheFolder: string, key: string, verdict: Verdict): Promise<void> {
  const path = verdictPath(cacheFolder, key);
  try {
    await ensureParent(path);
    await writeAtomic(path, `${JSON.stringify(verdict)}\n`);
  } catch {
    // read-only
  }
}

function verdictPath(cacheFolder: string, key: string): string {
  return join(cacheFolder, "verdicts", `${key}.json`);
}
