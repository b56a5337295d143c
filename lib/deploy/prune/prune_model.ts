/** A model's package with fewer channels: pruned, and fine-tuned where a data set is given. */

import { basename, join } from "node:path";
import {
  findModel,
  type ModelCard,
  type ModelFolders,
  type ModelPackage,
  openDataset,
  readPackage,
  trainExperiment,
  type TrainOptions,
  writePackage,
} from "../../experiment/mod.ts";
import {
  assertValid,
  compactWeights,
  fromFile,
  fromModel,
  type Graph,
  toModel,
  type WeightStorage,
} from "../../onnx/mod.ts";
import { InputError } from "../../runtime/mod.ts";
import { type PictureBatch, samplePictures } from "../quantize/pictures.ts";
import { fineTuneConfig, type FineTuneSettings, prunedTask } from "./fine_tune.ts";
import { classifierNetwork } from "./network.ts";
import { prepareForPruning, type PrunedGraph, pruneGraph, type PruneOptions } from "./prune_graph.ts";

/** How fine-tuning runs; as `trainExperiment` has it. */
export type FineTuneRun =
  & FineTuneSettings
  & Pick<TrainOptions, "runsFolder" | "resume" | "threads" | "workers" | "signal" | "onProgress" | "warn" | "callbacks">
  & {
    /** Default: "prune". */
    readonly profile?: string;
    /** Default: 0. */
    readonly seed?: number;
  };

/** Settings of `pruneModel`. */
export interface PruneModelOptions extends Omit<PruneOptions, "pictures"> {
  /** A name under `models/`, a package, a run; as `openModel` takes it. */
  readonly model: string;
  readonly folders?: ModelFolders;
  /** The new package's folder. */
  readonly out: string;
  /** The folder of a built data set: for fine-tuning, and the importance "taylor", which is the default where it is given. */
  readonly dataFolder?: string | undefined;
  /** Pictures of the train split for the importance "taylor". Default: 256. */
  readonly sample?: number;
  /** Without: the model is only pruned, and says little until it is trained on. */
  readonly fineTune?: FineTuneRun | undefined;
  /** How the weights lie in the new file. Default: float32. */
  readonly weights?: Exclude<ModelCard["weights"], "int8-static"> | undefined;
  readonly provenance?: ModelCard["provenance"];
}

/** What `pruneModel` gives. */
export interface PrunedModel {
  /** Undefined where fine-tuning was interrupted; it goes on with `resume`. */
  readonly model: ModelPackage | undefined;
  /** As pruned, before fine-tuning. */
  readonly pruned: PrunedGraph;
}

/**
 * Prunes a trained model to a share of its multiplications and writes it as a package of its own, whose card says what it was made of.
 * With `fineTune` a classifier is trained on, with the unpruned network as its teacher; the run in `runsFolder` can be
 * resumed, and the card has its figures of validation and test. Throws InputError as `pruneGraph`, for a model that is
 * quantized, for fine-tuning of a detector and for a data set of other species.
 */
export async function pruneModel(
  { model, folders = {}, out, fineTune, weights = "float32", provenance, dataFolder, sample, ...options }:
    PruneModelOptions,
): Promise<PrunedModel> {
  if (fineTune && dataFolder === undefined) {
    throw new InputError("prune: expected a data set to fine-tune on, found none");
  }
  const source = await readForPruning(model, folders), { card, classes } = source.package;
  const { importance = dataFolder === undefined ? undefined : "taylor" } = options;
  const pictures = importance === "taylor" ? await sampleFor(source, dataFolder, sample) : [];
  const pruned = await pruneGraph(source.graph, { ...options, importance, pictures });
  const tuned = fineTune && dataFolder !== undefined
    ? await fineTunePruned(source, pruned, { ...fineTune, dataFolder })
    : undefined;
  if (fineTune && !tuned) return { pruned, model: undefined };
  const { format: _, file: __, classes: ___, metrics: ____, details: _____, knownFailures: ______, ...rest } =
    tuned?.card ??
      card;
  let bytes = tuned ? await Deno.readFile(join(tuned.folder, tuned.card.file.name)) : toModel(pruned.graph);
  if (weights !== "float32") bytes = compacted(bytes, weights);
  else if (!tuned) assertValid(pruned.graph);
  const { macs, left, parameters, parametersLeft } = pruned;
  const made = await writePackage(out, {
    ...{ model: bytes, classes },
    card: {
      ...rest,
      ...{
        name: basename(out),
        weights,
        about: `${card.about} Pruned to ${(100 * left / macs).toFixed(0)} % of its multiplications.`,
      },
      // Figures are those of the file: with weights that are rounded after, "deno task evaluate --card" measures them.
      metrics: tuned && weights === "float32" ? tuned.card.metrics : {},
      pruning: {
        from: { name: card.name, sha256: card.file.sha256 },
        importance: pruned.importance,
        ...{ macs: Math.round(macs), macsLeft: Math.round(left), parameters, parametersLeft },
        epochs: tuned?.card.trainedOn.epochs ?? 0,
      },
      ...(provenance ?? card.provenance ? { provenance: provenance ?? card.provenance } : {}),
    },
  });
  return { pruned, model: made };
}

/** A package and its graph. */
export interface PruningSource {
  readonly package: ModelPackage;
  readonly graph: Graph;
}

/** Opens what is to be pruned. Throws InputError for a quantized model. */
export async function readForPruning(model: string, folders: ModelFolders = {}): Promise<PruningSource> {
  const found = await readPackage(await findModel(model, folders)), path = join(found.folder, found.card.file.name);
  if (found.card.weights === "int8-static") {
    throw new InputError(`${path}: expected a model to prune before it is quantized, found a quantized one`);
  }
  return { package: found, graph: await fromFile(path) };
}

/** Pictures of the train split for the importance "taylor". Throws InputError without a data set. */
export async function sampleFor(
  { package: { card } }: PruningSource,
  dataFolder: string | undefined,
  count = 256,
): Promise<PictureBatch[]> {
  if (dataFolder === undefined) {
    throw new InputError("importance taylor: expected a data set with pictures to look at, found none");
  }
  const dataset = await openDataset({ dataFolder });
  return await samplePictures({ dataset, split: "train" }, { card, dex: card.classes.dex }, { count });
}

/**
 * Trains a pruned classifier on. Returns the package of its run, or undefined where it was interrupted. Throws InputError for a
 * detector and for a data set of other species.
 */
export async function fineTunePruned(
  { package: { card, classes }, graph }: PruningSource,
  { graph: smaller, macs, left }: PrunedGraph,
  { dataFolder, profile = "prune", seed = 0, teacherWeight, temperature, ...run }: FineTuneRun & {
    readonly dataFolder: string;
  },
): Promise<ModelPackage | undefined> {
  const { input: { name } } = card;
  const network = classifierNetwork(smaller, name, card.name);
  const teacher = classifierNetwork(await prepareForPruning(graph), name, card.name);
  const data = await openDataset({
    ...{ dataFolder, species: classes.map(({ dex }) => dex) },
    ...(run.warn ? { warn: run.warn } : {}),
  });
  if (data.classes.length !== classes.length) {
    throw new InputError(
      `${dataFolder}: expected the ${classes.length} species of the model, found ${data.classes.length}`,
    );
  }
  const { epochs, steps, learningRate, batch, augmentation, ...training } = run;
  const settings = Object.fromEntries(
    Object.entries({ epochs, steps, learningRate, batch, augmentation }).filter(([, value]) => value !== undefined),
  );
  const teaching = {
    ...(teacherWeight === undefined ? {} : { teacherWeight }),
    ...(temperature === undefined ? {} : { temperature }),
  };
  const { model } = await trainExperiment({
    ...{ ...training, data, profile, seed },
    config: fineTuneConfig(card, `${card.name} pruned ${Math.round(100 * left / macs)}`, settings),
    task: prunedTask(network, teacher, teaching),
    recorded: { pruned: { from: card.file.sha256, ...teaching } },
  });
  return model;
}

function compacted(bytes: Uint8Array<ArrayBuffer>, storage: WeightStorage): Uint8Array<ArrayBuffer> {
  const graph = fromModel(bytes);
  compactWeights(graph, storage);
  return toModel(graph);
}
