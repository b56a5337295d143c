/** What the numbers of a comparison say, in sentences that are made from them. */

import { compareRight, type Comparison } from "../overlap.ts";
import { type ApproachComparison, type ComparedApproach, rowOf } from "./compare_approaches.ts";

/** What is concluded from. */
export interface ConclusionOptions {
  readonly comparison: ApproachComparison;
  /** The models that the hybrids join, first and second: what a perfect choice between them would have right. */
  readonly joined: { readonly names: readonly [string, string]; readonly overlap: Comparison };
  /** The fusion with the further tasks against the one without. */
  readonly multiTask?: Comparison;
  /** Rows of the comparison: the student and the same network trained alone. */
  readonly student?: { readonly distilled: string; readonly alone: string };
}

/** How a difference stands to chance: its 95 % interval lies above zero, below it, or holds it. */
export type Verdict = "more" | "less" | "open";

/** Judges a difference by its interval. */
export function verdictOf({ ci95: [low, high] }: Pick<Comparison, "ci95">): Verdict {
  return low > 0 ? "more" : high < 0 ? "less" : "open";
}

/** What a student must keep of the hybrid's gain over the best single model, and cost at most, in times of that model's latency. */
export const STUDENT_GOAL = { gain: 0.9, latency: 1.2 } as const;

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
const points = (difference: number) => `${(100 * difference).toFixed(1).replace("-", "−")}`;
const times = (ratio: number) =>
  `${ratio < 0.095 ? ratio.toPrecision(1) : ratio < 10 ? ratio.toFixed(1) : ratio.toFixed(0)} times`;
const chance = (p: number) => `McNemar's p ${p < 1e-3 ? "below 0.001" : p.toFixed(3)}`;
const within = ({ difference, ci95: [low, high], p }: Comparison) =>
  `${points(difference)} points [${points(low)}, ${points(high)}], ${chance(p)}`;

/** One sentence or two about each question, each decided by its numbers alone. */
export function conclusions({ comparison, joined, multiTask, student }: ConclusionOptions): string[] {
  const hybrid = rowOf(comparison, comparison.bestHybrid), single = rowOf(comparison, comparison.bestSingle);
  return [
    hybridAgainst(hybrid, single, comparison.pictures),
    ceilingOf(hybrid, joined),
    costOf(hybrid, single),
    ...robustnessOf(hybrid, single),
    calibrationOf(hybrid, single),
    ...(multiTask ? [tasksOf(multiTask)] : []),
    ...(student
      ? [studentOf(rowOf(comparison, student.distilled), rowOf(comparison, student.alone), hybrid, single)]
      : []),
    frontOf(comparison),
  ];
}

function hybridAgainst(hybrid: ComparedApproach, single: ComparedApproach, n: number): string {
  const { against } = hybrid;
  const figures = `${hybrid.name} ${percent(hybrid.top1.share)}, ${single.name} ${percent(single.top1.share)} of ${
    n.toLocaleString("en-US")
  } test pictures: ${within(against)}`;
  return {
    more: `The best hybrid beats the best single model: ${figures}. The interval excludes zero.`,
    less: `The best hybrid is worse than the best single model: ${figures}. The interval excludes zero.`,
    open:
      `No hybrid beats the best single model beyond chance: ${figures}. The interval holds zero: these pictures cannot tell them apart.`,
  }[verdictOf(against)];
}

function ceilingOf(
  hybrid: ComparedApproach,
  { names: [first, second], overlap: { oracle, onlyFirst, onlySecond, neither, both } }: ConclusionOptions["joined"],
): string {
  const n = both + onlyFirst + onlySecond + neither, best = Math.max(both + onlyFirst, both + onlySecond) / n;
  const room = oracle.share - best, used = hybrid.top1.share - best;
  const overlap =
    `only ${first} is right about ${onlyFirst}, only ${second} about ${onlySecond}, both are wrong about ${neither} of ${
      n.toLocaleString("en-US")
    }`;
  if (room === 0) return `There was nothing to gain by choosing between them: ${overlap}.`;
  return `Whoever always knew which of the two to believe would be right about ${percent(oracle.share)}, ${
    points(room)
  } points above the better one; the best hybrid ${
    used > 0
      ? `has ${points(used)} points of that`
      : used < 0
      ? `lies ${points(-used)} points below it`
      : "has none of that"
  }. On these pictures ${overlap}.`;
}

function costOf(hybrid: ComparedApproach, single: ComparedApproach): string {
  const [dear, cheap] = [hybrid.cost, single.cost];
  return `The hybrid takes ${times(dear.latency / cheap.latency)} the single model's time, ${
    times(dear.operations / cheap.operations)
  } its operations, ${times(dear.moved / cheap.moved)} its moved bytes and ${
    times(dear.bytes / cheap.bytes)
  } its weights in bytes.`;
}

function robustnessOf(hybrid: ComparedApproach, single: ComparedApproach): string[] {
  const [a, b] = [hybrid.corrupted, single.corrupted];
  if (!a || !b) return [];
  const lead = a.share - b.share;
  return [
    `Of ${a.n.toLocaleString("en-US")} corrupted pictures the hybrid names ${percent(a.share)}, the single model ${
      percent(b.share)
    }${
      lead === 0 ? ": the same" : `, ${points(Math.abs(lead))} points ${lead > 0 ? "more" : "fewer"} for the hybrid`
    }.`,
  ];
}

function calibrationOf(hybrid: ComparedApproach, single: ComparedApproach): string {
  // To the digits that are printed: a sentence must not contradict its own numbers.
  const [a, b] = [hybrid.ece, single.ece], same = percent(a) === percent(b);
  const how = same ? "as well" : a < b ? "better" : "worse";
  return `Its probabilities are ${how} calibrated ${same ? "as" : "than"} the single model's: an expected error of ${
    percent(a)
  } against ${percent(b)}.`;
}

function tasksOf(multiTask: Comparison): string {
  return {
    more: `Learning types and generation beside the species helps: ${within(multiTask)}.`,
    less: `Learning types and generation beside the species harms: ${within(multiTask)}.`,
    open: `Whether learning types and generation beside the species helps cannot be told here: ${within(multiTask)}.`,
  }[verdictOf(multiTask)];
}

function studentOf(
  distilled: ComparedApproach,
  alone: ComparedApproach,
  hybrid: ComparedApproach,
  single: ComparedApproach,
): string {
  const lead = distilled.top1.share - alone.top1.share, slower = distilled.cost.latency / single.cost.latency;
  const gain = hybrid.top1.share - single.top1.share, own = distilled.top1.share - single.top1.share;
  const paired = compareRight(distilled.right, alone.right);
  const kept = lead <= 0
    ? "It does not beat the same network trained alone and is not kept"
    : verdictOf(paired) === "more"
    ? "It beats the same network trained alone and is kept"
    : "It is ahead of the same network trained alone and is kept, but these pictures cannot tell the two apart";
  const figures = `${percent(distilled.top1.share)} against ${percent(alone.top1.share)}, ${within(paired)}`;
  const goal = gain <= 0
    ? "there is no gain of the hybrid that it could keep"
    : verdictOf(hybrid.against) !== "more"
    ? `whether it keeps the hybrid's gain is not judged, for that gain is within chance; it takes ${
      times(slower)
    } the single model's time`
    : own >= STUDENT_GOAL.gain * gain && slower <= STUDENT_GOAL.latency
    ? `it keeps ${percent(own / gain)} of the hybrid's gain at ${
      times(slower)
    } the single model's time: the goal is reached`
    : `of the hybrid's gain it keeps ${own > 0 ? percent(own / gain) : "nothing"} at ${
      times(slower)
    } the single model's time: the goal of ${percent(STUDENT_GOAL.gain)} at ${STUDENT_GOAL.latency} times is missed`;
  return `The student that learned from the hybrid: ${figures}. ${kept}; ${goal}.`;
}

function frontOf({ rows }: ApproachComparison): string {
  const front = rows.filter(({ onFront }) => onFront).sort((a, b) => a.cost.latency - b.cost.latency);
  return `Nothing is both faster and more accurate than ${
    front.map(({ name, top1, cost }) => `${name} (${percent(top1.share)}, ${cost.latency.toFixed(2)} ms)`).join(", ")
  }.`;
}
