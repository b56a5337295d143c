/** The deployment table: every form of every model, judged, timed and counted, with what other devices may make of it. */

import { join } from "node:path";
import type { Dataset } from "../../experiment/mod.ts";
import {
  bytesMoved,
  countOperations,
  countTraffic,
  type Latency,
  mcNemar,
  type McNemarResult,
  measureLatency,
  peakMemory,
  type Share,
  shareOf,
} from "../../evaluate/mod.ts";
import { isStatic } from "../../onnx/mod.ts";
import { InputError, type ProgressListener } from "../../runtime/mod.ts";
import { checkK210, type K210Report } from "../k210/check.ts";
import { estimateK210, type K210Estimate } from "../k210/estimate.ts";
import { prepareForK210 } from "../k210/prepare.ts";
import { calibrate } from "../quantize/calibrate.ts";
import { int8Share } from "../quantize/int8_share.ts";
import { guessesOf, type PictureBatch, samplePictures } from "../quantize/pictures.ts";
import type { QuantizeOptions } from "../quantize/quantize_static.ts";
import type { DeployedModel } from "./deployed_model.ts";
import { type DeviceEstimate, estimateDevices } from "./devices.ts";
import { type DeployedForm, deployedForms, type FormName, FORMS } from "./forms.ts";
import { measureWasm, type WasmLatency } from "./wasm.ts";

/** Settings of `deploymentTable`. */
export interface DeploymentOptions {
  readonly models: readonly DeployedModel[];
  /** Default: all that a model has. */
  readonly forms?: readonly FormName[];
  readonly data: Dataset;
  /** Where forms are judged. Default: "test". */
  readonly split?: "validation" | "test";
  /** At most so many pictures of it, a stratified sample. Default: all. */
  readonly limit?: number;
  /** Pictures of the train split that int8 is calibrated on. Default: 128. */
  readonly calibration?: number;
  readonly quantize?: QuantizeOptions;
  /** Chooses the samples. Default: 0. */
  readonly seed?: number;
  /** Of each latency: runs that count, and the seconds after which no more are made. Default: 30 runs, 2 seconds. */
  readonly runs?: number;
  readonly seconds?: number;
  /** Start a process for each form to learn its memory. Default: true. */
  readonly memory?: boolean;
  /** Forms that are timed in WebAssembly too. Default: none. */
  readonly wasm?: readonly FormName[];
  readonly onProgress?: ProgressListener | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** One form of one model. Times are this machine's, by the clock. */
export interface DeploymentRow {
  readonly model: string;
  readonly form: FormName;
  readonly computes: DeployedForm["computes"];
  /** Of the file. */
  readonly bytes: number;
  /** Top-1; undefined for a network without trained weights. */
  readonly accuracy?: Share;
  /** How often it names what the float32 form names. */
  readonly agreement?: Share;
  /** Which pictures only float32 ("first") or only this form ("second") gets right. */
  readonly beside?: McNemarResult;
  /** One picture on one thread, one on all threads, and 16 at once on all, as many as the model takes. */
  readonly latency: { readonly one: Latency; readonly all: Latency; readonly batch: Latency };
  /** One picture on one thread in WebAssembly. */
  readonly wasm?: WasmLatency;
  /** Bytes that a process needs more with the model opened and run on one thread. */
  readonly memory?: number;
  /** Of one picture: multiply-accumulate steps, and bytes of weights and activations, which stand for what a battery pays. */
  readonly macs: number;
  readonly bytesMoved: number;
  /** Share of the steps that ONNX Runtime computes in int8. */
  readonly int8Share: number;
  /** Estimates, not measured. */
  readonly devices: readonly DeviceEstimate[];
}

/** What the K210's checker says of a model. */
export interface K210Verdict {
  readonly model: string;
  /** Undefined for a network that is no classifier of the kind that `prepareForK210` takes. */
  readonly report?: K210Report;
  /** Where it fits: an estimate, not measured. */
  readonly estimate?: K210Estimate;
  /** The first reason why not. */
  readonly problem?: string;
}

/** What `deploymentTable` gives. */
export interface DeploymentTable {
  readonly rows: readonly DeploymentRow[];
  readonly k210: readonly K210Verdict[];
  /** Pictures that forms were judged on. */
  readonly pictures: string;
}

/**
 * Makes the forms of each model, judges them on the same pictures, times them one after the other, and counts what they compute and
 * move. int8 is calibrated on pictures of train. Throws InputError as `samplePictures` and `calibrate`, WorkError where a form does not
 * run.
 */
export async function deploymentTable(options: DeploymentOptions): Promise<DeploymentTable> {
  const { models, forms: wanted = FORMS, data, split = "test", onProgress = () => {}, signal } = options;
  const folder = await Deno.makeTempDir({ prefix: "pokedex_forms_" });
  const rows: DeploymentRow[] = [], k210: K210Verdict[] = [];
  const total = models.length * wanted.length;
  try {
    for (const [i, model] of models.entries()) {
      const { forms, prepared } = await formsOf(model, options);
      const counted = { macs: countOperations(prepared).macs, traffic: countTraffic(prepared) };
      const judge = model.judged ? await judgeOf(model, forms, options) : undefined;
      for (const form of forms) {
        signal?.throwIfAborted();
        onProgress({
          ...{ label: "forms", done: i * wanted.length + wanted.indexOf(form.form), total, unit: "forms" },
          note: `${model.name}, ${form.form}`,
        });
        rows.push({
          ...{ model: model.name, form: form.form, computes: form.computes, bytes: form.model.length },
          ...await judge?.(form),
          ...await timesOf(model, form, join(folder, "model.onnx"), options),
          macs: counted.macs,
          bytesMoved: bytesMoved(counted.traffic, form.computes === "int8" ? 1 : 4),
          int8Share: form.computes === "int8" ? (await int8Share(form.model)).share : 0,
          devices: estimateDevices(counted, form.computes),
        });
      }
      k210.push(await verdictOf(model));
    }
    onProgress({ label: "forms", done: total, total, unit: "forms" });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  return { rows, k210, pictures: `${data.dataFolder}, ${split}` };
}

async function formsOf(
  { graph, shipped, view }: DeployedModel,
  { forms = FORMS, data, calibration = 128, seed = 0, quantize, signal }: DeploymentOptions,
) {
  if (!forms.includes("int8")) return await deployedForms(graph, { forms, shipped });
  const pictures = await samplePictures({ dataset: data, split: "train" }, view, { count: calibration, seed });
  const batches = pictures.map(({ images }) => ({ [view.card.input.name]: images }));
  const found = await calibrate(graph, batches, { signal });
  return await deployedForms(graph, { forms, shipped, calibration: found, quantize });
}

type Judged = Pick<DeploymentRow, "accuracy" | "agreement" | "beside">;

/** Judges forms on the same pictures, which are drawn once. */
async function judgeOf(
  { view, name }: DeployedModel,
  forms: readonly DeployedForm[],
  { data, split = "test", limit = data.rows[split].length, seed = 0 }: DeploymentOptions,
): Promise<(form: DeployedForm) => Promise<Judged>> {
  const batches: PictureBatch[] = await samplePictures({ dataset: data, split }, view, {
    count: limit,
    seed,
    batch: 16,
  });
  const labels = batches.flatMap((batch) => batch.labels), input = { name: view.card.input.name };
  const reference = forms.find(({ form }) => form === "float32");
  if (!reference) throw new InputError(`${name}: expected the form float32, to compare the others with, found none`);
  const expected = await guessesOf(reference.model, batches, input);
  const isRight = (guesses: readonly number[]) => guesses.map((guess, i) => guess === labels[i]);
  const count = (list: readonly boolean[]) => shareOf(list.filter(Boolean).length, list.length);
  return async (form) => {
    const guesses = form === reference ? expected : await guessesOf(form.model, batches, input);
    const accuracy = count(isRight(guesses));
    if (form === reference) return { accuracy };
    return {
      accuracy,
      agreement: count(guesses.map((guess, i) => guess === expected[i])),
      beside: mcNemar(isRight(expected), isRight(guesses)),
    };
  };
}

/** Pictures in a run of the throughput. */
const BATCH = 16;

async function timesOf(
  { graph }: DeployedModel,
  { form, model }: DeployedForm,
  path: string,
  { runs = 30, seconds = 2, memory = true, wasm = [] }: DeploymentOptions,
): Promise<Pick<DeploymentRow, "latency" | "memory" | "wasm">> {
  const timed = { runs, seconds }, batch = isStatic(graph.inputs[0]!.shape) ? graph.inputs[0]!.shape[0]! : BATCH;
  const [one] = await measureLatency(model, { ...timed, batches: [1], threads: 1 });
  const [all, many] = await measureLatency(model, { ...timed, batches: [1, batch] });
  const latency = { one: one!, all: all!, batch: many! };
  const inWasm = wasm.includes(form);
  if (memory || inWasm) await Deno.writeFile(path, model);
  const peak = memory ? await peakMemory(path, { threads: 1 }) : undefined;
  return {
    latency,
    ...(peak ? { memory: peak.peak - peak.before } : {}),
    ...(inWasm ? { wasm: await measureWasm(path, { runs: Math.min(runs, 10), seconds }) } : {}),
  };
}

async function verdictOf({ name, graph }: DeployedModel): Promise<K210Verdict> {
  try {
    const report = checkK210((await prepareForK210(graph)).graph), [first] = report.problems;
    return {
      ...{ model: name, report },
      ...(first ? { problem: `${first.layer}: ${first.what}` } : { estimate: estimateK210(report) }),
    };
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return { model: name, problem: error.message };
  }
}
