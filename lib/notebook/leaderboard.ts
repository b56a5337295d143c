/** The leaderboard: what each approach reaches on a split, shown in a notebook and collected into `reports/results.json`. */

import { z } from "zod";
import { type Split, splitHash } from "../data/mod.ts";
import type { Dataset, ModelCard } from "../experiment/mod.ts";
import { InputError, sha256 } from "../runtime/mod.ts";
import { type Displayable, jupyterDisplay, mime, type MimeBundle, show } from "./display.ts";
import { table } from "./table.ts";

/** What an approach is; the leaderboard names it beside the approach. */
export type ApproachFamily =
  | "detector"
  | "classifier"
  | "zero-shot"
  | "adapter"
  | "hybrid"
  | "cascade"
  | "ensemble"
  | "distilled"
  | "quantized"
  | "pruned"
  | "yardstick";

/** Pictures that approaches are asked about. Only figures on the same ones are ranked together. */
export interface RankedSplit {
  readonly name: Split;
  /** Pictures. */
  readonly n: number;
  /** Species among which an approach chooses. */
  readonly species: number;
  /** `splitHash` of the whole data set's split, or what stands for it (`splitOfCard`). */
  readonly hash: string;
  /** Which part of the split was asked about, where it is not all of it: "species that the encoder never saw". */
  readonly part?: string | undefined;
}

/** What an approach reaches. Shares are 0 … 1. */
export interface ApproachFigures {
  /** Unique among the approaches of a notebook on a split. */
  readonly name: string;
  readonly family: ApproachFamily;
  readonly top1: number;
  /** 95 % interval of top-1. */
  readonly "top1_ci95": readonly [low: number, high: number];
  readonly top5?: number | undefined;
  /** Expected calibration error. */
  readonly ece?: number | undefined;
  /** Learned numbers of all networks that answer. */
  readonly parameters?: number | undefined;
  /** Size of all files that are needed to answer. */
  readonly bytes?: number | undefined;
  /** Of one picture, median, milliseconds. */
  readonly latencyMs?: number | undefined;
  /** Products and sums of one picture (`countOperations`). */
  readonly operations?: number | undefined;
}

/** A row of the leaderboard as results.json holds it. */
export interface Approach extends ApproachFigures {
  readonly split: RankedSplit;
}

const share = z.number();
const positive = z.number();

/** A row of results.json or of a cell's output; a family that a later version knows is shown, too. */
export const approachSchema = z.object({
  name: z.string(),
  family: z.string(),
  split: z.object({
    name: z.enum(["train", "validation", "test"]),
    n: z.number(),
    species: z.number(),
    hash: z.string(),
    part: z.string().optional(),
  }),
  top1: share,
  top1_ci95: z.tuple([share, share]).readonly(),
  top5: share.optional(),
  ece: share.optional(),
  parameters: positive.optional(),
  bytes: positive.optional(),
  latencyMs: positive.optional(),
  operations: positive.optional(),
}).superRefine((approach, context) => {
  const problem = problemOf(approach);
  if (problem) context.addIssue({ code: "custom", message: `${approach.name || "a row"}: ${problem}` });
});

/** A row as it is read: of any family. */
export type RecordedApproach = z.output<typeof approachSchema>;

/** Rounding of intervals' ends is no nonsense. */
const TOLERANCE = 1e-9;

/** "top-1: expected …, found …", or undefined for figures that can be. */
function problemOf(
  { name, split: { n, species, hash }, top1, top1_ci95: [low, high], ...rest }: Omit<RecordedApproach, "family">,
): string | undefined {
  const isShare = (value: number) => value >= -TOLERANCE && value <= 1 + TOLERANCE; // false for NaN
  if (name.trim() === "") return "expected a name, found none";
  if (!(Number.isInteger(n) && n >= 1)) return `split.n: expected a number of pictures from 1, found ${n}`;
  if (!(Number.isInteger(species) && species >= 2)) {
    return `split.species: expected a number of species from 2, found ${species}`;
  }
  if (!/^[0-9a-f]{64}$/.test(hash)) return `split.hash: expected a SHA-256, found "${hash.slice(0, 70)}"`;
  if (!isShare(top1)) return `top1: expected a share in 0 … 1, found ${top1}`;
  if (!isShare(low) || !isShare(high) || !(low <= top1 + TOLERANCE && top1 <= high + TOLERANCE)) {
    return `top1_ci95: expected an interval in 0 … 1 that holds ${top1}, found ${low} … ${high}`;
  }
  const { top5, ece, parameters, bytes, latencyMs, operations } = rest;
  if (top5 !== undefined && !(isShare(top5) && top5 >= top1 - TOLERANCE)) {
    return `top5: expected a share from top-1's ${top1} to 1, found ${top5}`;
  }
  if (ece !== undefined && !isShare(ece)) return `ece: expected a share in 0 … 1, found ${ece}`;
  for (const [key, value] of Object.entries({ parameters, bytes, latencyMs, operations })) {
    if (value !== undefined && !(value > 0 && Number.isFinite(value))) {
      return `${key}: expected a number above 0, found ${value}`;
    }
  }
  return undefined;
}

/** Completes and checks a row. Throws InputError, one line that names it, for figures that cannot be. */
export function makeApproach(split: RankedSplit, figures: ApproachFigures): Approach {
  const { name: part, n, species, hash } = split;
  const approach: Approach = {
    ...defined(figures),
    split: { name: part, n, species, hash, ...(split.part === undefined ? {} : { part: split.part }) },
  };
  const problem = problemOf(approach as RecordedApproach);
  if (problem) throw new InputError(`leaderboard, "${figures.name}": ${problem}`);
  return approach;
}

/** Without the properties that are undefined. */
function defined(figures: ApproachFigures): ApproachFigures {
  return Object.fromEntries(
    Object.entries(figures).filter(([, value]) => value !== undefined),
  ) as unknown as ApproachFigures;
}

/**
 * Shows what approaches reach on a split, the best first, and records a row for each; a later one of the same name on the same split
 * replaces it. Throws InputError for a row that cannot be, such as an interval outside 0 … 1.
 *
 * ```ts ignore
 * await leaderboard(splitOf(dataset, "test"), [
 *   { name: "CLIP, zero-shot", family: "zero-shot", ...figuresOf(judged), parameters, bytes, latencyMs: 8.1 },
 * ]);
 * ```
 */
export async function leaderboard(split: RankedSplit, approaches: readonly ApproachFigures[]): Promise<void> {
  const rows = approaches.map((figures) => makeApproach(split, figures));
  if (rows.length > 0) await show(new ShownApproaches(split, ranked(rows)));
}

/**
 * A split of a data set to rank approaches on; with `n` and `part` where only some of its pictures were asked about, with `species` where
 * an approach chooses among others than the data set's.
 */
export function splitOf(
  { rows, classes }: Pick<Dataset, "rows" | "classes">,
  name: Split,
  { n = rows[name].length, species = classes.length, part }: Partial<Omit<RankedSplit, "name" | "hash">> = {},
): RankedSplit {
  return { name, n, species, hash: splitHash(Object.values(rows).flat()), part };
}

/**
 * The split that a card's figures are of: that of a data set by its hash, where the card has one. Else cards of models that were trained on
 * the same sources, profile, seed and numbers of pictures have the same one, which is that of no data set.
 */
export function splitOfCard(
  trainedOn: Pick<ModelCard["trainedOn"], "profile" | "seed" | "sources" | "split" | "pictures" | "splitHash">,
  { n, species, name = "test" }: { readonly n: number; readonly species: number; readonly name?: Split },
): RankedSplit {
  if (trainedOn.splitHash !== undefined) return { name, n, species, hash: trainedOn.splitHash };
  const { profile, seed, sources, split, pictures: { train, validation, test } } = trainedOn;
  const hash = sha256(JSON.stringify(["card", profile, seed, sources, split, train, validation, test]));
  return { name, n, species, hash, part: "as the models' cards say" };
}

/** Top-1 with its interval and top-5 of judged answers, as a row takes them. */
export function figuresOf(
  { top1, top5 }: {
    readonly top1: { readonly share: number; readonly ci95: readonly [number, number] };
    readonly top5?: { readonly share: number } | undefined;
  },
): Pick<ApproachFigures, "top1" | "top1_ci95" | "top5"> {
  return { top1: top1.share, top1_ci95: [...top1.ci95], top5: top5?.share };
}

/** What rows have in common that are ranked together. */
export function rankingKey({ name, n, species, hash, part = "" }: RankedSplit): string {
  return [name, n, species, hash, part].join("|");
}

/** The best top-1 first; of equal ones the smaller file, then by name. */
export function ranked<Row extends Pick<RecordedApproach, "name" | "top1" | "bytes">>(rows: readonly Row[]): Row[] {
  return [...rows].sort((a, b) =>
    b.top1 - a.top1 || (a.bytes ?? Infinity) - (b.bytes ?? Infinity) || (a.name < b.name ? -1 : 1)
  );
}

/** "test: 1,025 species, 3,666 pictures, species that …". */
export function splitText({ name, n, species, part }: RankedSplit): string {
  const count = (value: number) => value.toLocaleString("en-US");
  return [`${name}: ${count(species)} species`, `${count(n)} pictures`, ...(part === undefined ? [] : [part])].join(
    ", ",
  );
}

class ShownApproaches implements Displayable {
  constructor(readonly split: RankedSplit, readonly rows: readonly Approach[]) {}

  async [jupyterDisplay](): Promise<MimeBundle> {
    const percent = (value: number) => (100 * value).toFixed(1);
    const shown = this.rows.map((row) => ({
      ...{ name: row.name, family: row.family },
      top1: 100 * row.top1,
      interval: row.top1_ci95.map(percent).join("\u00a0…\u00a0"),
      top5: row.top5 === undefined ? undefined : 100 * row.top5,
      ece: row.ece === undefined ? undefined : 100 * row.ece,
      size: row.bytes === undefined ? undefined : row.bytes / 1e6,
      latency: row.latencyMs,
    }));
    const columns = [
      { key: "name", title: "approach" },
      "family",
      { key: "top1", title: "top-1", unit: "%", decimals: 1 },
      { key: "interval", title: "95 %" },
      { key: "top5", title: "top-5", unit: "%", decimals: 1 },
      { key: "ece", title: "ECE", unit: "%", decimals: 1 },
      { key: "size", unit: "MB", decimals: 2 },
      { key: "latency", title: "time", unit: "ms", decimals: 1 },
    ].filter((column) =>
      shown.some((row) => row[(typeof column === "string" ? column : column.key) as keyof typeof row] !== undefined)
    );
    const drawn = table(shown, {
      columns,
      caption: `For the leaderboard of all notebooks, which has weights and operations too, on ${
        splitText(this.split)
      }.`,
    });
    return { ...await drawn[jupyterDisplay](), [mime.leaderboard]: this.rows };
  }
}
