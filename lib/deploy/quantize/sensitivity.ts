/** Which layers lose accuracy in int8, and which to leave in float32. */

import { type Graph, toModel } from "../../onnx/mod.ts";
import { type ProgressListener, sha256 } from "../../runtime/mod.ts";
import { KeptResults } from "../kept_results.ts";
import type { Calibration } from "./calibrate.ts";
import { layersOf } from "./plan.ts";
import { prepareForQuantization } from "./prepare.ts";
import { type QuantizeOptions, quantizePrepared } from "./quantize_static.ts";

/** How good a model is on validation, larger is better: accuracy, or agreement with the float32 model. */
export type Judge = (model: Uint8Array) => Promise<number>;

/** Settings of `sensitivity`. */
export interface SensitivityOptions {
  /** "only": each layer alone in int8. "allBut": all in int8 but the layer. Default: "only". */
  readonly mode?: "only" | "allBut";
  readonly quantize?: Omit<QuantizeOptions, "keepFloat">;
  /** Stands for the pictures and figure of the judge where results are kept. Default: "". */
  readonly judgeName?: string;
  /** A file that keeps what was judged, a line a layer: a run that was stopped goes on. */
  readonly file?: string;
  readonly onProgress?: ProgressListener | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What one layer costs. */
export interface LayerSensitivity {
  readonly layer: string;
  readonly score: number;
  /** "only": what is lost against float32; "allBut": what leaving it in float32 gains against all in int8. */
  readonly loss: number;
}

/** What `sensitivity` gives. */
export interface Sensitivity {
  /** Of the float32 graph, and with all layers in int8. */
  readonly float: number;
  readonly int8: number;
  /** The most sensitive first. */
  readonly layers: readonly LayerSensitivity[];
}

/**
 * Judges each layer in int8 alone, or left in float alone. Throws InputError where `file` holds results of another model, calibration,
 * settings or judge.
 */
export async function sensitivity(
  source: Graph,
  calibration: Calibration,
  judge: Judge,
  { mode = "only", quantize = {}, judgeName = "", file, onProgress = () => {}, signal }: SensitivityOptions = {},
): Promise<Sensitivity> {
  const graph = await prepareForQuantization(source), names = layersOf(graph).map(({ name }) => name);
  const settings = JSON.stringify([mode, quantize, judgeName, [...calibration.ranges]]);
  const of = sha256(sha256(toModel(graph)) + settings);
  using kept = await KeptResults.open<number>(file, of, "scores of this model, calibration and judge");
  let done = 0;
  const scoreOf = async (name: string, model: () => Graph) => {
    signal?.throwIfAborted();
    const score = kept.get(name) ?? await judge(toModel(model()));
    kept.set(name, score);
    onProgress({ label: "sensitivity", done: ++done, total: names.length + 2, unit: "layers", note: name });
    return score;
  };
  const float = await scoreOf("float32", () => graph);
  const int8 = await scoreOf("int8", () => quantizePrepared(graph, calibration, quantize));
  const layers: LayerSensitivity[] = [];
  for (const layer of names) {
    const keepFloat = mode === "only" ? names.filter((name) => name !== layer) : [layer];
    const score = await scoreOf(
      `layer ${layer}`,
      () => quantizePrepared(graph, calibration, { ...quantize, keepFloat }),
    );
    layers.push({ layer, score, loss: mode === "only" ? float - score : score - int8 });
  }
  return { float, int8, layers: layers.sort((a, b) => b.loss - a.loss) };
}

/** Settings of `chooseFloatLayers`. */
export interface ChooseFloatOptions {
  /** How much may be lost against float32. Default: 0.01, one point. */
  readonly tolerance?: number;
  /** At most so many layers stay in float. Default: 5. */
  readonly most?: number;
  readonly quantize?: Omit<QuantizeOptions, "keepFloat">;
  readonly onProgress?: ProgressListener | undefined;
}

/** What `chooseFloatLayers` gives. */
export interface FloatLayers {
  readonly keepFloat: readonly string[];
  readonly score: number;
  /** Whether the loss is within the tolerance. */
  readonly isWithin: boolean;
}

/**
 * Leaves the most sensitive layers in float32, one more at a time, until the loss on validation is within the tolerance. Layers that
 * lose nothing are not tried.
 */
export async function chooseFloatLayers(
  source: Graph,
  calibration: Calibration,
  judge: Judge,
  { float, int8, layers }: Sensitivity,
  { tolerance = 0.01, most = 5, quantize = {}, onProgress = () => {} }: ChooseFloatOptions = {},
): Promise<FloatLayers> {
  const graph = await prepareForQuantization(source), keepFloat: string[] = [];
  let score = int8;
  for (const { layer, loss } of layers.slice(0, most)) {
    if (float - score <= tolerance || loss <= 0) break;
    keepFloat.push(layer);
    score = await judge(toModel(quantizePrepared(graph, calibration, { ...quantize, keepFloat })));
    onProgress({ label: "layers in float", done: keepFloat.length, total: most, unit: "layers", note: `${score}` });
  }
  return { keepFloat, score, isWithin: float - score <= tolerance };
}
