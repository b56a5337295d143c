/** How a model fares on pictures that get worse, on silhouettes, and on pictures of other things. */

import { openOtherPictures, type OtherPicture, type Picture, plainBackground, planesOn } from "../data/mod.ts";
import {
  type Answers,
  type Auroc,
  cleanPicture,
  type ConfidenceReport,
  corrupt,
  CORRUPTION_NAMES,
  type CorruptionName,
  CORRUPTIONS,
  judgeRejection,
  SEVERITIES,
  type Severity,
  type Share,
  shareOf,
  silhouette,
  summariseCorruptions,
  topK,
} from "../evaluate/mod.ts";
import { InputError, type ProgressListener, WorkError } from "../runtime/mod.ts";
import { type ModelReport, part, type PartAccuracy } from "./evaluate_model.ts";
import { tempered } from "./figures.ts";
import { judgedBatch, OUTPUTS } from "./graphs.ts";
import { joined } from "./judge.ts";
import type { OpenedModel } from "./open_model.ts";
import { stackPlanes } from "./picture_sets.ts";
import { openSquares, type ShownSquare, type SquareSource } from "./squares.ts";

/** Settings of `measureRobustness`. */
export interface RobustnessOptions {
  /** Default: all. */
  readonly corruptions?: readonly CorruptionName[];
  /** Default: 1 … 5. */
  readonly severities?: readonly Severity[];
  /** At most so many pictures, a stratified sample; as many at most of each source of other pictures. Default: 300. */
  readonly limit?: number;
  /** Of the sample, the corruptions and the other pictures. Default: 0. */
  readonly seed?: number;
  /** Sources of pictures of other things, see `openOtherPictures`; none leaves rejection out. Default: `["made"]`. */
  readonly others?: readonly string[];
  /** Known pictures that choose the threshold of rejection; the judged ones must not be among them. */
  readonly validation?: SquareSource | undefined;
  /** The share of known pictures that a threshold is to accept. Default: 0.95. */
  readonly accept?: number;
  /** Pictures in a batch, fewer where the model has very many scores. Default: 16. */
  readonly batch?: number;
  readonly onProgress?: ProgressListener | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Accuracy under one corruption. */
export interface CorruptionReport {
  readonly corruption: CorruptionName;
  readonly about: string;
  /** Of the strengths. */
  readonly unit: string;
  /** The same pictures, clean: a busy background needs cut-outs. */
  readonly clean: PartAccuracy;
  readonly severities: readonly ({ readonly severity: Severity; readonly strength: number } & PartAccuracy)[];
  /** Mean top-1 over the severities, and its ratio to that of the clean pictures (absent where that is 0). */
  readonly mean: number;
  readonly relative?: number;
}

/** An area under a ROC curve. */
export interface AreaReport {
  readonly auroc: number;
  /** DeLong's; null with a single picture of a side. */
  readonly standardError: number | null;
  /** Newcombe's 95 % score interval. */
  readonly "auroc_ci95": readonly [number, number];
}

/** A threshold with the shares of pictures that it accepts; intervals by Wilson, 95 %. */
export interface ThresholdReport {
  readonly value: number;
  readonly known: AcceptedShare;
  readonly other: AcceptedShare;
}

/** Accepted pictures. */
export interface AcceptedShare {
  readonly n: number;
  readonly accepted: number;
  readonly share: number;
  readonly ci95: readonly [number, number];
}

/** How well one confidence tells known pictures from others. */
export interface RejectionConfidence extends AreaReport {
  /** `probability`: the largest; `margin`: its lead; `entropy`: minus the entropy of all. */
  readonly confidence: ConfidenceReport["confidence"];
  readonly perKind: readonly ({ readonly kind: string; readonly n: number } & AreaReport)[];
  /** At the threshold that accepts the wanted share of the judged pictures: `other` is the usual "FPR at 95 % TPR". */
  readonly own: ThresholdReport;
  /** At the threshold that validation chose. */
  readonly chosen?: ThresholdReport;
  /** From (0, 0) to (1, 1): shares of other and of known pictures that are accepted. */
  readonly roc: { readonly fpr: readonly number[]; readonly tpr: readonly number[] };
  /** Accuracy of known pictures against the share that is answered, the surest first. */
  readonly coverage: { readonly coverage: readonly number[]; readonly accuracy: readonly number[] };
  /** Area under the risk–coverage curve, and what it exceeds the best order by. */
  readonly aurc: number;
  readonly excessAurc: number;
}

/** What `measureRobustness` gives: plain data, ready for JSON. Shares in 0 … 1, intervals by Wilson, 95 %, unless said. */
export interface RobustnessReport {
  /** The card's name. */
  readonly model: string;
  readonly pictures: string;
  readonly seed: number;
  readonly n: number;
  /** Top-1 of the sample as it is. */
  readonly clean: PartAccuracy;
  readonly corruptions: readonly CorruptionReport[];
  /** Mean corruption accuracy: the mean of the corruptions' means, and of their ratios. */
  readonly mean: number;
  readonly relative?: number;
  /** Cut-outs filled with one colour on the card's plain background, beside the same pictures as they are; absent without any. */
  readonly silhouettes?: PartAccuracy & { readonly clean: PartAccuracy };
  /** Absent without other pictures. */
  readonly rejection?: {
    readonly accept: number;
    readonly known: number;
    readonly others: number;
    /** Pictures that chose the thresholds. */
    readonly validation?: number;
    readonly confidences: readonly RejectionConfidence[];
  };
  readonly leftOut: number;
  readonly skipped: ModelReport["skipped"];
}

/**
 * Measures robustness on a split or folder. Each picture is decoded once; its corruptions are drawn from it at the size of the
 * model's input. Throws InputError where no picture is of the model's species or a setting is out of range, WorkError where none can
 * be read or other pictures cannot be fetched.
 */
export async function measureRobustness(
  model: OpenedModel,
  source: SquareSource,
  {
    corruptions = CORRUPTION_NAMES,
    severities = SEVERITIES,
    limit = 300,
    seed = 0,
    others = ["made"],
    validation,
    accept = 0.95,
    batch = 16,
    onProgress,
    signal,
  }: RobustnessOptions = {},
): Promise<RobustnessReport> {
  checkOptions({ corruptions, severities, limit });
  const view = { card: model.card, dex: model.classes.map(({ dex }) => dex) };
  const viewer = viewerOf(model, batch, signal);
  using opened = await openSquares(source, view, { limit, seed });
  const variants = corruptions.flatMap((corruption) => severities.map((severity) => ({ corruption, severity })));
  const answers: (boolean | undefined)[][] = variants.map(() => []);
  const clean: boolean[] = [], outlines: (boolean | undefined)[] = [], labels: number[] = [];
  const probabilities: Float32Array[] = [];
  for await (const squares of chunks(opened.squares(), viewer.batch)) {
    const pictures = squares.map(({ picture, ground }) => cleanPicture(picture, ground));
    const asTheyAre = await viewer.look(pictures.map(({ flat }) => flat));
    probabilities.push(asTheyAre);
    labels.push(...squares.map(({ label }) => label));
    clean.push(...viewer.right(asTheyAre, squares));
    for (const [at, { corruption, severity }] of variants.entries()) {
      const changed = await Promise.all(
        pictures.map((picture, i) =>
          CORRUPTIONS[corruption].cutOutsOnly && !squares[i]!.cutOut
            ? undefined
            : corrupt(picture, corruption, severity, { key: squares[i]!.facts.id, seed })
        ),
      );
      answers[at]!.push(...await viewer.answers(changed, squares));
    }
    const filled = squares.map(({ cutOut, picture }) => cutOut ? viewer.plain(silhouette(picture)) : undefined);
    outlines.push(...await viewer.answers(filled, squares));
    onProgress?.({ label: "robustness", done: clean.length, total: opened.total, unit: "pictures" });
  }
  if (clean.length === 0) throw new WorkError(`${opened.name}: expected pictures, found none that can be read`);
  const summary = summariseCorruptions(clean, variants.map((variant, at) => ({ ...variant, answers: answers[at]! })));
  const rejection = others.length === 0 ? undefined : await measureRejection();
  return {
    ...{ model: model.card.name, pictures: opened.name, seed, n: clean.length, clean: part(summary.clean) },
    corruptions: summary.corruptions.map(({ clean, severities, ...rest }) => ({
      ...rest,
      clean: part(clean),
      severities: severities.map(({ severity, strength, ...share }) => ({ severity, strength, ...part(share) })),
    })),
    mean: summary.mean,
    ...(summary.relative === undefined ? {} : { relative: summary.relative }),
    ...silhouettesOf(outlines, clean),
    ...(rejection ? { rejection } : {}),
    leftOut: opened.leftOut,
    skipped: opened.skipped,
  };

  async function measureRejection(): Promise<NonNullable<RobustnessReport["rejection"]>> {
    const { size, view: shown } = model.card.input, classes = model.classes.length;
    const found: OtherPicture[] = [];
    for (const name of others) {
      const count = Number.isFinite(limit) ? limit : clean.length;
      found.push(...await openOtherPictures(name, { count, seed, size, view: shown, onProgress }));
    }
    const chosen: Float32Array[] = [];
    if (validation) {
      using known = await openSquares(validation, view, { limit, seed });
      for await (const squares of chunks(known.squares(), viewer.batch)) {
        chosen.push(await viewer.look(squares.map(({ picture, ground }) => cleanPicture(picture, ground).flat)));
      }
    }
    const other: Float32Array[] = [];
    for await (const squares of chunks(found, viewer.batch)) {
      other.push(await viewer.look(squares.map(({ picture }) => viewer.plain(picture))));
    }
    const scores = (parts: readonly Float32Array[]) => ({ values: joined(parts), classes });
    const confidences = judgeRejection({
      ...{ known: scores(probabilities), labels, other: scores(other), kinds: found.map(({ kind }) => kind) },
      validation: chosen.length > 0 ? scores(chosen) : undefined,
    }, { tpr: accept });
    return {
      ...{ accept, known: clean.length, others: found.length },
      ...(chosen.length > 0 ? { validation: scores(chosen).values.length / classes } : {}),
      confidences: confidences.map(confidenceText),
    };
  }
}

/** Shows pictures to a model. */
function viewerOf({ session, card, classes }: OpenedModel, wanted: number, signal: AbortSignal | undefined) {
  const { size, mean, std, name, background } = card.input;
  const count = classes.length, none = new Uint8Array(0);
  const look = async (pictures: readonly Picture[]): Promise<Float32Array> => {
    signal?.throwIfAborted();
    const images = stackPlanes(pictures.map((picture) => planesOn(picture, none, { mean, std })), size);
    const found = await session.run({ [name]: images }, { outputs: [OUTPUTS.probabilities] });
    const values = found[OUTPUTS.probabilities]!.data as Float32Array;
    return tempered({ values, classes: count }, card.temperature).values;
  };
  const right = (values: Float32Array, squares: readonly Pick<ShownSquare, "label">[]): boolean[] =>
    Array.from(topK({ values, classes: count }, 1), (best, i) => best === squares[i]!.label);
  return {
    batch: judgedBatch({ heads: card.decode.heads, size, classes: count }, wanted),
    /** The probabilities, at the card's temperature, of opaque pictures. */
    look,
    right,
    /** Lays a square on the card's plain background. */
    plain: (picture: Picture): Picture => cleanPicture(picture, plainBackground(background, size, size)).flat,
    /** Whether each picture is named rightly; undefined where there is none. */
    async answers(pictures: readonly (Picture | undefined)[], squares: readonly ShownSquare[]): Promise<Answers> {
      const there = squares.filter((_, i) => pictures[i] !== undefined);
      if (there.length === 0) return pictures.map(() => undefined);
      const found = right(await look(pictures.filter((picture) => picture !== undefined)), there);
      let at = 0;
      return pictures.map((picture) => picture && found[at++]!);
    },
  };
}

function checkOptions(
  { corruptions, severities, limit }: Required<Pick<RobustnessOptions, "corruptions" | "severities" | "limit">>,
): void {
  const unknown = corruptions.find((name) => !(name in CORRUPTIONS));
  if (unknown !== undefined) {
    throw new InputError(`robustness: expected corruptions among ${CORRUPTION_NAMES.join(", ")}, found "${unknown}"`);
  }
  const wrong = severities.find((severity) => !SEVERITIES.includes(severity));
  if (wrong !== undefined) throw new InputError(`robustness: expected severities 1 … 5, found ${wrong}`);
  if (!(limit >= 1)) throw new InputError(`robustness: expected a limit of at least one picture, found ${limit}`);
}

function silhouettesOf(outlines: Answers, clean: readonly boolean[]): Pick<RobustnessReport, "silhouettes"> {
  const there = outlines.flatMap((right, i) => right === undefined ? [] : [{ right, clean: clean[i]! }]);
  if (there.length === 0) return {};
  const share = (of: (each: typeof there[number]) => boolean) => part(shareOf(there.filter(of).length, there.length));
  return { silhouettes: { ...share(({ right }) => right), clean: share((each) => each.clean) } };
}

function confidenceText({ confidence, auroc, perKind, own, chosen, roc, riskCoverage }: ConfidenceReport) {
  const area = ({ value, standardError, ci95 }: Auroc): AreaReport => ({
    ...{ auroc: value, standardError: Number.isNaN(standardError) ? null : standardError, auroc_ci95: ci95 },
  });
  const accepted = ({ n, correct, share, ci95 }: Share): AcceptedShare => ({ n, accepted: correct, share, ci95 });
  const threshold = ({ value, known, other }: NonNullable<typeof chosen>): ThresholdReport => ({
    ...{ value, known: accepted(known), other: accepted(other) },
  });
  const { coverage, accuracy, aurc, excessAurc } = riskCoverage;
  return {
    ...{ confidence, ...area(auroc) },
    perKind: perKind.map(({ kind, n, auroc }) => ({ kind, n, ...area(auroc) })),
    own: threshold(own),
    ...(chosen ? { chosen: threshold(chosen) } : {}),
    ...{ roc, coverage: { coverage, accuracy }, aurc, excessAurc },
  };
}

async function* chunks<Item>(items: Iterable<Item> | AsyncIterable<Item>, size: number): AsyncGenerator<Item[]> {
  let chunk: Item[] = [];
  for await (const item of items) {
    chunk.push(item);
    if (chunk.length < size) continue;
    yield chunk;
    chunk = [];
  }
  if (chunk.length > 0) yield chunk;
}
