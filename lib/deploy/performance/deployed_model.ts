/** Models as the deployment table takes them: trained ones, and networks that no training has given weights yet. */

import { join } from "node:path";
import {
  buildTask,
  type ModelFolders,
  type ModelView,
  type OpenedModel,
  openModel,
  projectFolder,
  readPackage,
  type TrainingConfig,
} from "../../experiment/mod.ts";
import { fromFile, type Graph } from "../../onnx/mod.ts";
import { exists } from "../../runtime/mod.ts";
import { species } from "../../species/mod.ts";
import { listRunFolders } from "../../track/mod.ts";

/** A model that is measured. */
export interface DeployedModel {
  readonly name: string;
  /** One input of pictures, [batch, 3, size, size]. */
  readonly graph: Graph;
  /** The bytes of the file as it is given away. */
  readonly shipped?: Uint8Array<ArrayBuffer>;
  /** How it wants to be shown pictures. */
  readonly view: Omit<ModelView, "batch">;
  /** Whether its answers mean anything: it was trained, and gives "probabilities". */
  readonly judged: boolean;
}

/** A trained model, by its file. */
export async function deployedModel(
  { path, card, classes }: Pick<OpenedModel, "path" | "card" | "classes">,
  name = card.name,
): Promise<DeployedModel> {
  return {
    ...{ name, graph: await fromFile(path), shipped: await Deno.readFile(path), judged: true },
    view: { card, dex: classes.map(({ dex }) => dex) },
  };
}

/** Settings of `configuredModel`. */
export interface ConfiguredModelOptions {
  readonly name: string;
  /** Of all species unless it says otherwise. */
  readonly classes?: number;
  readonly seed?: number;
}

/** A classifier of the settings with fresh weights: what it computes and moves is that of the trained one, its answers mean nothing. */
export function configuredModel(
  config: TrainingConfig,
  { name, classes = species.length, seed = 0 }: ConfiguredModelOptions,
): DeployedModel {
  const task = buildTask(config, { classes, seed });
  const { data: { view, background, boxes }, model: { size } } = config;
  const card: DeployedModel["view"]["card"] = {
    input: {
      ...{ name: "images", layout: "NCHW", size, channels: "RGB", fit: "letterbox", view },
      ...{ mean: [0, 0, 0], std: [1, 1, 1], background: [114, 114, 114] },
    },
    trainedOn: {
      ...{ run: "none", profile: "none", seed, sources: [], split: "none", background, boxes, pretrained: "none" },
      ...{ pictures: { train: 0, validation: 0, test: 0 }, epochs: 0, steps: 0, weights: "current" },
      ...{ configHash: "none", commit: null, date: "" },
    },
  };
  const dex = species.slice(0, classes).map((each) => each.dex);
  return { name, graph: task.shippedGraph(task.ways[0]), view: { card, dex }, judged: false };
}

/**
 * The trained model of the settings: that under `models/` with this name, else that of the newest finished run whose name begins with the
 * settings'; of all species unless `classes` says otherwise. Undefined where there is none.
 */
export async function openTrained(
  name: string,
  { name: run }: Pick<TrainingConfig, "name">,
  {
    models = join(projectFolder, "models"),
    runs = join(projectFolder, "runs"),
    classes = species.length,
  }: ModelFolders & { readonly classes?: number } = {},
): Promise<OpenedModel | undefined> {
  if (await exists(join(models, name, "model.json"))) return await openModel(join(models, name));
  for (const id of (await listRunFolders(runs)).toReversed()) { // ids begin with the time
    const folder = join(runs, id);
    if (!id.slice("YYYYMMDD-HHMMSS-".length).startsWith(`${run}-`)) continue;
    if (!await exists(join(folder, "model.json"))) continue;
    if ((await readPackage(folder)).card.classes.count === classes) return await openModel(folder);
  }
  return undefined;
}
