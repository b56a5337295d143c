/** Fine-tuning of a CLIP's exported towers: learned context, low-rank adapters, or all weights. */

import type { Graph } from "../../onnx/mod.ts";
import { InputError, Random, type Tensor } from "../../runtime/mod.ts";
import {
  adamW,
  compileStep,
  cosineRate,
  fit,
  type FitBatch,
  type FitResult,
  sgd,
  type Step,
  trainable,
  warmUp,
} from "../../train/mod.ts";
import { CONTEXT, initialContext, promptPrototypes } from "./context.ts";
import { type ExampleSource, openExamples } from "./examples.ts";
import { initialAdapters, type LowRankAdapters, mergeAdapters, withAdapters } from "./low_rank.ts";
import type {
  ContextTuned,
  ContextTuning,
  FineTuned,
  FineTuneOptions,
  FullTuned,
  FullTuning,
  LowRankTuned,
  LowRankTuning,
  TowerFiles,
  TuningOptions,
} from "./options.ts";
import { frozenTower, onGraph, openTower, type PromptTokens, type Tower, type TowerKind } from "./tower.ts";
import {
  LOGIT_SCALE,
  type TextSide,
  type TuningGraph,
  tuningGraph,
  type TuningGraphOptions,
} from "./training_graph.ts";

const KINDS = ["image", "text"] as const;

/** What is not trained runs as in use: by running statistics, nothing dropped. */
const STAYS = { batchNormalization: "frozen", dropout: false } as const;

type Towers = Readonly<Partial<Record<TowerKind, Tower>>>;

/**
 * Fine-tunes the towers of a CLIP, given as ONNX files of any exporter, on the graph of the files themselves: "coop" learns
 * context vectors that run through the frozen text tower, "lora" thin matrices beside attention's, "full" all weights of
 * both in one step. The files are not changed. Training goes through `fit`: with checkpoints it can be stopped and resumed
 * bit for bit.
 *
 * Throws InputError, in one line, for towers, texts and examples that do not go together, and for a tower in which no token
 * embedding ("coop") or attention ("lora") is found; TrainError and OnnxError as `fit` and `fromFile` do.
 */
export async function fineTune<O extends FineTuneOptions>(files: TowerFiles, options: O): Promise<FineTuned<O>> {
  const source = await openExamples(options.examples, {
    batchSize: options.batchSize ?? 32,
    seed: options.seed ?? 0,
  });
  const towers: Partial<Record<TowerKind, Tower>> = {};
  for (const kind of KINDS) {
    const file = files[kind];
    if (file !== undefined) towers[kind] = await openTower(kind, file);
  }
  return await methodOf(options, towers, source) as FineTuned<O>;
}

function methodOf(options: FineTuneOptions, towers: Towers, source: ExampleSource) {
  switch (options.method) {
    case "coop":
      return tuneContext(options, towers, source);
    case "lora":
      return tuneLowRank(options, towers, source);
    case "full":
      return tuneAll(options, towers, source);
  }
}

async function tuneContext(options: ContextTuning, towers: Towers, source: ExampleSource): Promise<ContextTuned> {
  const { length = 16, start = 1, perClass = false } = options.context ?? {};
  if (!towers.text || !options.prompts) {
    throw new InputError("fine-tuning: expected a text tower and prompts for a learned context, found none");
  }
  const tower = frozenTower(towers.text);
  const classes = perClass ? options.prompts.inputIds.shape[0]! : undefined;
  const random = Random.seeded("context", options.seed ?? 0);
  const vectors = initialContext(tower, { length, classes, random });
  const plan = tuningGraph({
    ...graphOptions(options, source),
    image: towers.image && frozenTower(towers.image),
    text: { kind: "context", tower, prompts: options.prompts, vectors, start },
  });
  const optimizer = options.optimizer ?? sgd({ momentum: 0.9, weightDecay: 5e-4 });
  const model = trainable(plan.graph, { parameters: CONTEXT.parameter, ...STAYS });
  return await train(options, { plan, model, optimizer, rate: 0.002, source }, async (step, result) => {
    const learned = (await step.parameters())[CONTEXT.parameter] as Tensor<"float32">;
    return { ...result, method: "coop", context: { vectors: learned, start, tower: tower.identity } };
  });
}

async function tuneLowRank(options: LowRankTuning, towers: Towers, source: ExampleSource): Promise<LowRankTuned> {
  const { towers: wanted, ...settings } = options.lora ?? {};
  const trained = trainedTowers(towers, wanted, source);
  const adapters: LowRankAdapters[] = [];
  const adapted: Partial<Record<TowerKind, Tower>> = {};
  for (const tower of trained) {
    const sizes = tower.kind === "image" ? source.sizes : [promptsOf(options).inputIds.shape[1]!];
    const random = Random.seeded("lora", options.seed ?? 0, tower.kind);
    const own = await initialAdapters(tower, { ...settings, sizes, random });
    adapters.push(own);
    adapted[tower.kind] = withAdapters(tower, own);
  }
  const plan = await joinSides(options, towers, adapted, source);
  const model = trainable(plan.graph, {
    parameters: (name) => plan.graph.value(name).kind === "parameter",
    ...STAYS,
  });
  const optimizer = options.optimizer ?? adamW();
  return await train(options, { plan, model, optimizer, rate: 2e-4, source }, async (step, result) => {
    const found = await step.parameters();
    const learned = adapters.map((own): LowRankAdapters => ({
      ...own,
      tensors: new Map(
        [...own.tensors.keys()].map((name) => [name, found[`${own.kind}/${name}`] as Tensor<"float32">]),
      ),
    }));
    const merged = learned.map((own) => [own.kind, mergeAdapters(towers[own.kind]!, own)] as const);
    return { ...result, method: "lora", adapters: learned, towers: Object.fromEntries(merged) };
  });
}

async function tuneAll(options: FullTuning, towers: Towers, source: ExampleSource): Promise<FullTuned> {
  if (options.optimizer && options.rates) {
    throw new InputError("fine-tuning: expected rates for the default optimizer, found an optimizer too");
  }
  const open: Partial<Record<TowerKind, Tower>> = {};
  for (const tower of trainedTowers(towers, options.towers, source)) {
    open[tower.kind] = onGraph(tower, trainable(tower.graph).graph);
  }
  const plan = await joinSides(options, towers, open, source, options.learnLogitScale);
  const model = trainable(plan.graph, {
    freeze: options.freeze,
    batchNormalization: (node) => Object.keys(open).some((kind) => node.startsWith(`${kind}/`)) ? "train" : "frozen",
  });
  const optimizer = options.optimizer ?? adamW(options.rates ? { multipliers: options.rates } : {});
  return await train(options, { plan, model, optimizer, rate: 1e-5, source }, async (step, result) => {
    const found = Object.entries(await step.parameters());
    const graphs: Partial<Record<TowerKind, Graph>> = {};
    for (const tower of Object.values(open)) {
      const { kind, graph } = tower;
      for (const [name, content] of found) {
        if (name.startsWith(`${kind}/`)) graph.setTensor(graph.value(name.slice(kind.length + 1)), content);
      }
      graphs[kind] = graph;
    }
    const scale = found.find(([name]) => name === LOGIT_SCALE)?.[1];
    const logitScale = scale
      ? Math.min(Math.exp(Number(scale.data[0])), 100)
      : graphOptions(options, source).logitScale;
    return { ...result, method: "full", towers: graphs, logitScale };
  });
}

/** The towers that a method trains. */
function trainedTowers(
  towers: Towers,
  wanted: readonly TowerKind[] | undefined,
  source: ExampleSource,
): readonly Tower[] {
  const kinds = wanted ?? KINDS.filter((kind) => towers[kind] && !(kind === "image" && source.cached));
  if (kinds.length === 0) throw new InputError("fine-tuning: expected a tower to train, found none given");
  return kinds.map((kind) => {
    const tower = towers[kind];
    if (!tower) throw new InputError(`fine-tuning: expected the ${kind} tower that is to be trained, found none`);
    if (kind === "image" && source.cached) {
      throw new InputError("fine-tuning: expected pictures to train the image tower on, found cached features");
    }
    return tower;
  });
}

/** The graph with the towers that are trained, the others frozen or, for texts, run once. */
async function joinSides(
  options: LowRankTuning | FullTuning,
  towers: Towers,
  trained: Towers,
  source: ExampleSource,
  learnLogitScale = false,
): Promise<TuningGraph> {
  const common = { ...graphOptions(options, source), learnLogitScale };
  const image = trained.image ?? (towers.image && frozenTower(towers.image));
  let text: TextSide;
  if (trained.text) text = { kind: "tower", tower: trained.text, prompts: promptsOf(options) };
  else if (common.objective === "pairs" && towers.text) {
    text = { kind: "tower", tower: frozenTower(towers.text), prompts: promptsOf(options) };
  } else {
    const found = options.prototypes ??
      (towers.text ? await promptPrototypes(towers.text, promptsOf(options)) : undefined);
    if (!found) throw new InputError("fine-tuning: expected a text tower or prototypes, found neither");
    text = { kind: "prototypes", prototypes: found };
  }
  return tuningGraph({ ...common, image, text });
}

function promptsOf({ prompts }: TuningOptions): PromptTokens {
  if (prompts) return prompts;
  throw new InputError("fine-tuning: expected prompts for the text tower, found none");
}

function graphOptions(
  { objective = "classes", logitScale = 100, classesPerStep, seed = 0 }: TuningOptions,
  source: ExampleSource,
): Omit<TuningGraphOptions, "image" | "text"> {
  if (!(logitScale > 0)) throw new InputError(`fine-tuning: expected a logitScale above 0, found ${logitScale}`);
  return { source, objective, logitScale, learnLogitScale: false, classesPerStep, seed };
}

async function train<T>(
  options: TuningOptions,
  { plan, model, optimizer, rate, source }: {
    readonly plan: TuningGraph;
    readonly model: ReturnType<typeof trainable>;
    readonly optimizer: NonNullable<TuningOptions["optimizer"]>;
    readonly rate: number;
    readonly source: ExampleSource;
  },
  finish: (step: Step, result: { fit: FitResult; losses: readonly number[] }) => Promise<T>,
): Promise<T> {
  const { epochs = 10, learningRate = rate, seed = 0, device, threads, worker } = options;
  await using step = await compileStep({
    model,
    loss: plan.loss,
    optimizer,
    seed,
    ...(device ? { device } : {}),
    ...(threads ? { threads } : {}),
    ...(worker === undefined ? {} : { worker }),
  });
  const steps = epochs * source.steps, rise = Math.floor(steps / 10);
  const schedule = options.schedule ??
    warmUp(cosineRate({ peak: learningRate, steps: Math.max(steps - rise, 1) }), { steps: rise });
  const losses: number[] = [];
  const { callbacks = [], ...settings } = await options.fit?.(step) ?? {};
  const result = await fit({
    ...settings,
    step,
    epochs,
    stepsPerEpoch: source.steps,
    schedule,
    async *batches(epoch, fromStep): AsyncGenerator<FitBatch> {
      for (let at = fromStep; at < source.steps; at++) yield await plan.feed(epoch, at);
    },
    callbacks: [{ onStep: ({ result: { loss } }) => void losses.push(loss) }, ...callbacks],
  });
  return await finish(step, { fit: result, losses });
}
