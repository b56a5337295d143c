/** A trained model, opened by its name, folder, run or file. */

import { basename, join, resolve } from "node:path";
import { fromFile, toModel } from "../onnx/mod.ts";
import { type Device, exists, InputError, openSession, type Session } from "../runtime/mod.ts";
import type { Species } from "../species/mod.ts";
import { listRunFolders } from "../track/mod.ts";
import { type ModelCard, type ModelPackage, readPackage } from "./card.ts";
import { keepCandidates, OUTPUTS } from "./graphs.ts";
import { projectFolder } from "./settings.ts";

/** Where models and runs lie. */
export interface ModelFolders {
  /** Default: `models/` of the project. */
  readonly models?: string;
  /** Default: `runs/` of the project. */
  readonly runs?: string;
}

/** Settings of `openModel`. */
export interface OpenModelOptions extends ModelFolders {
  readonly device?: Device | undefined;
  /** CPU threads; default: ONNX Runtime's own. */
  readonly threads?: number | undefined;
}

/** An opened model. Its session gives "probabilities" and, for a detector, "boxes" and the largest scores. */
export interface OpenedModel extends ModelPackage, AsyncDisposable {
  readonly card: ModelCard;
  readonly classes: readonly Species[];
  /** The file. */
  readonly path: string;
  readonly session: Session;
}

/**
 * Opens a model: a name under `models/`, a package's folder, a run's folder or id, or an ONNX file beside its model.json;
 * without any, `defaultModel`. Throws InputError in one line for what is not there, cut, or not what its card says.
 */
export async function openModel(
  nameOrPath?: string,
  { device, threads, ...folders }: OpenModelOptions = {},
): Promise<OpenedModel> {
  const place = nameOrPath === undefined ? await defaultModel(folders) : await findModel(nameOrPath, folders);
  const found = await readPackage(place);
  const path = place.endsWith(".onnx") ? place : join(found.folder, found.card.file.name);
  const graph = await fromFile(path);
  const { input, outputs, classes: { count } } = found.card;
  const probabilities = graph.outputs.find(({ name }) => name === OUTPUTS.probabilities);
  if (!graph.inputs.some(({ name }) => name === input.name) || probabilities?.shape[1] !== count) {
    throw new InputError(
      `${path}: expected the input "${input.name}" and the output "probabilities" of ${count} classes, found ` +
        `${graph.inputs.map(String).join(", ")} and ${probabilities ?? graph.outputs.map(String).join(", ")}`,
    );
  }
  if (outputs.scores && outputs.boxes) keepCandidates(graph);
  const session = await openSession(toModel(graph), { device, threads, name: path });
  return { ...found, path, session, [Symbol.asyncDispose]: () => session.dispose() };
}

/** The place of a model that a person means: a path that is there, a name under `models/`, or a run's id. */
export async function findModel(nameOrPath: string, folders: ModelFolders = {}): Promise<string> {
  const { models, runs } = placesOf(folders);
  const named = join(models, nameOrPath);
  if (!/[\\/]/.test(nameOrPath) && nameOrPath !== "" && await exists(join(named, "model.json"))) return named;
  if (nameOrPath !== "" && await exists(nameOrPath)) return resolve(nameOrPath);
  const ids = (await listRunFolders(runs)).filter((id) => nameOrPath !== "" && id.includes(nameOrPath));
  const exact = ids.includes(nameOrPath) ? [nameOrPath] : ids;
  if (exact.length === 1) return join(runs, exact[0]!);
  const known = (await modelNames(models)).join(", ");
  const found = exact.length > 1 ? `${exact.length} runs with "${nameOrPath}" in their id` : `"${nameOrPath}"`;
  throw new InputError(
    `--model: expected a name under ${basename(models)}/ (${known || "none there yet"}), a folder, a run or an .onnx ` +
      `file, found ${found}`,
  );
}

/**
 * The only model under `models/`, else that of the newest finished run, those on a naive split left out: they measure what leakage
 * is worth. Throws InputError where there is none, or several under `models/`.
 */
export async function defaultModel(folders: ModelFolders = {}): Promise<string> {
  const { models, runs } = placesOf(folders);
  const names = await modelNames(models);
  if (names.length === 1) return join(models, names[0]!);
  if (names.length === 0) {
    for (const id of (await listRunFolders(runs)).toReversed()) { // ids begin with the time
      const folder = join(runs, id);
      if (!(await exists(join(folder, "model.json")))) continue;
      const { card: { trainedOn: { split } } } = await readPackage(folder);
      if (split !== "naive") return folder;
    }
  }
  throw new InputError(
    names.length > 1
      ? `--model: expected one of ${names.join(", ")}, found none named`
      : `--model: expected a model under ${models} or a finished run under ${runs}, found none; ` +
        `run "deno task train --config configs/yolov3/baseline.yaml"`,
  );
}

function placesOf({ models = join(projectFolder, "models"), runs = join(projectFolder, "runs") }: ModelFolders) {
  return { models, runs };
}

async function modelNames(models: string): Promise<string[]> {
  if (!(await exists(models))) return [];
  const names: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(models)) {
    if (isDirectory && await exists(join(models, name, "model.json"))) names.push(name);
  }
  return names.sort();
}
