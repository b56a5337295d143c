/** What a few-shot adapter is: it learns classes from cached embeddings and texts, and gives scores for further embeddings. */

import type { ProgressListener, Tensor } from "../../runtime/mod.ts";
import type { LabelledFeatures } from "../encoder.ts";

/** What an adapter learns from. N pictures, C classes, D numbers an embedding. */
export interface AdapterInput {
  /** [N, D] and the class of each row. */
  readonly train: LabelledFeatures;
  /** A prototype a class, [C, D], rows of length 1. */
  readonly texts: Tensor<"float32">;
  /** C */
  readonly classes: number;
  /** What settings are chosen by. Without it every adapter takes the defaults that its documentation names. */
  readonly validation?: LabelledFeatures | undefined;
  /** What cosines are multiplied by: the encoder's. */
  readonly logitScale: number;
  /** Of what is drawn. Default: 0. */
  readonly seed?: string | number | undefined;
  /** CPU threads; default: one a physical core. */
  readonly threads?: number | undefined;
  /** Ends the fitting with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ProgressListener | undefined;
}

/** Hyper-parameters by name. */
export type Settings = Readonly<Record<string, number>>;

/** Settings that were tried, and how they did on the validation pictures. */
export interface Trial {
  readonly settings: Settings;
  /** Share of the pictures whose class came first. */
  readonly top1: number;
  /** Mean cross-entropy, nats. */
  readonly loss: number;
}

/** A classifier f ↦ f · weightsᵀ + bias. */
export interface LinearWeights {
  /** [C, D] */
  readonly weights: Tensor<"float32">;
  /** [C] */
  readonly bias: Tensor<"float32">;
}

/** What fitting gives. */
export interface FittedAdapter extends AsyncDisposable {
  /** The adapter's name. */
  readonly adapter: string;
  readonly chosen: Settings;
  /** In the order in which they were tried; empty without validation pictures. */
  readonly tried: readonly Trial[];
  /** Of an adapter that is one matrix in the end, which any runtime can take over. */
  readonly linear?: LinearWeights | undefined;
  /**
   * [N, C] for features [N, D], rows of length 1. The largest score of a row is the prediction. Throws InputError for features
   * of another dimension, rows of another length, and what is no number.
   */
  logits(features: Tensor<"float32">): Promise<Tensor<"float32">>;
}

/** A way to learn from few pictures. */
export interface Adapter {
  /** For people and tables, e.g. "gda". */
  readonly name: string;
  /** All that decides what `fit` does beside its input; plain JSON. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** False: `train` is not looked at. */
  readonly learns: boolean;
  /** False: the seed changes nothing. */
  readonly draws: boolean;
  /**
   * Throws InputError, in one line, for labels out of range, classes without a picture, features of another dimension, rows
   * that are not of length 1 and features that are no numbers.
   */
  fit(input: AdapterInput): Promise<FittedAdapter>;
}
