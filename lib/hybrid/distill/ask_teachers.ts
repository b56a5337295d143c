/** What models that are named say of a data set's pictures: the answers that a student learns from. */

import { basename, join } from "node:path";
import type { ManifestRow, Split } from "../../data/mod.ts";
import { judgeClassification } from "../../evaluate/mod.ts";
import {
  type Dataset,
  judgeModel,
  openModel,
  type OpenModelOptions,
  openPictures,
  OUTPUTS,
  projectFolder,
  splitPictures,
  tempered,
} from "../../experiment/mod.ts";
import {
  exists,
  InputError,
  type ProgressListener,
  sha256,
  sha256File,
  type Tensor,
  tensor,
} from "../../runtime/mod.ts";
import { openVlm, SHIPPED_CLIP } from "../../vlm/mod.ts";
import type { Answers } from "../answers.ts";
import { visualFeatures } from "../fusion/cache_features.ts";
import { HybridClassifier, readHybrid } from "../fusion/hybrid_classifier.ts";
import { hybridFeatures } from "../fusion/hybrid_features.ts";
import { inBatches } from "../fusion/train_fusion.ts";
import {
  ensembleTeacher,
  joinTeacherAnswers,
  readTeacher,
  type TeacherAnswers,
  type TeacherFile,
  writeTeacher,
} from "./teacher_file.ts";

/** Whose features a hybrid reads. */
export interface HybridModels {
  /** A picture network, as `openModel` finds it. Default: the one that ships. */
  readonly model?: string | undefined;
  /** An encoder, as `openVlm` finds it. Default: the one that ships. */
  readonly encoder?: string | undefined;
}

/** Settings of `askTeachers`. */
export interface AskTeachersOptions extends OpenModelOptions, HybridModels {
  /** Where answers are kept. Default: `teachers/` in the data folder. */
  readonly folder?: string | undefined;
  /** Also give the first teacher's features, for hints. Default: false. */
  readonly features?: boolean | undefined;
  readonly onProgress?: ProgressListener | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told, a line each, of teachers that may have seen the data set's test pictures. */
  readonly warn?: ((message: string) => void) | undefined;
}

/** The picture network that ships. */
export const SHIPPED_NETWORK = "pokedex-1025";

/** The splits that a student is taught and validated on. */
const TAUGHT = ["train", "validation"] as const;

/** One model that can be asked. */
interface Teacher extends AsyncDisposable {
  readonly name: string;
  /** All that decides its answers. */
  readonly identity: string;
  /** The pictures that it was trained with, by split; undefined where nobody says. */
  readonly trainedOn: Readonly<Record<Split, number>> | undefined;
  /** Pictures whose answers are kept together. */
  readonly part: number;
  /** Calibrated probabilities of these rows of a split. */
  ask(split: Split, rows: readonly ManifestRow[]): Promise<Pick<Answers, "probabilities" | "pictures" | "dex">>;
  /** [N, D] in the order of the data set's rows. */
  features(split: Split): Promise<Tensor<"float32">>;
}

/**
 * The mean of the models' calibrated probabilities for every picture of train and validation, each asked once: answers are kept by
 * what decides them, and a run that was stopped asks only for the splits that it had not. Each is a classifier or detector (`openModel`),
 * a hybrid's folder (`writeHybrid`), or, alone, a file of `writeTeacher`. Throws InputError for what is none of these, for a hybrid of other
 * networks, and for species that a teacher does not know; and the signal's reason.
 */
export async function askTeachers(
  names: readonly string[],
  data: Dataset,
  options: AskTeachersOptions = {},
): Promise<TeacherFile> {
  const [first] = names;
  if (first === undefined) throw new InputError("teacher: expected at least one model, found none");
  if (first.endsWith(".safetensors") && names.length === 1) return await readTeacher(first);
  const { folder = join(data.dataFolder, "teachers"), warn = () => {} } = options;
  const members: Record<Split, Answers[]> = { train: [], validation: [], test: [] };
  const features: Partial<Record<Split, Tensor<"float32">>> = {}, identities: string[] = [];
  for (const [i, name] of names.entries()) {
    await using teacher = await openTeacher(name, data, { ...options, folder });
    const other = teacher.trainedOn && (Object.keys(data.rows) as Split[])
      .find((split) => teacher.trainedOn![split] !== data.rows[split].length);
    if (other) {
      warn(
        `teacher ${teacher.name}: expected ${data.rows[other].length} pictures in ${other}, as here, found ` +
          `${teacher.trainedOn![other]}: it may have learned from test pictures, of which its student then knows`,
      );
    }
    identities.push(teacher.identity);
    for (const split of TAUGHT) {
      options.signal?.throwIfAborted();
      members[split].push(await keptAnswers(teacher, data.rows[split], split, folder));
      if (i === 0 && options.features) features[split] = await teacher.features(split);
    }
  }
  const answers = joinTeacherAnswers(
    TAUGHT.map((split) =>
      ensembleTeacher(members[split], { ...(options.features ? { features: features[split]! } : {}) })
    ),
  );
  return { ...answers, identity: sha256(JSON.stringify([identities, answers.pictures, options.features ?? false])) };
}

/** Top-1 of a teacher's answers on the pictures of some rows. */
export function teacherTop1({ pictures, probabilities, dex }: TeacherAnswers, rows: readonly ManifestRow[]): number {
  const rowOf = new Map(pictures.map((picture, row) => [picture, row])), classes = dex.length;
  const values = new Float32Array(rows.length * classes);
  rows.forEach(({ id }, to) => {
    const from = rowOf.get(id)!;
    values.set(probabilities.data.subarray(from * classes, (from + 1) * classes), to * classes);
  });
  return judgeClassification({ values, classes }, rows.map((row) => dex.indexOf(row.dex))).top1.share;
}

/** A teacher's answers to a split, from their files where it was asked before. */
async function keptAnswers(
  teacher: Teacher,
  rows: readonly ManifestRow[],
  split: Split,
  folder: string,
): Promise<Answers> {
  const parts: TeacherAnswers[] = [];
  for (let at = 0; at < rows.length; at += teacher.part) {
    const own = rows.slice(at, at + teacher.part);
    const key = sha256(JSON.stringify([teacher.identity, own.map(({ id, imageSha256 }) => [id, imageSha256])]));
    const path = join(folder, `${split}-${key.slice(0, 16)}.safetensors`);
    if (!(await exists(path))) {
      const { probabilities: { values, classes }, pictures, dex } = await teacher.ask(split, own);
      const probabilities = tensor("float32", [pictures.length, classes], values);
      await Deno.mkdir(folder, { recursive: true });
      await writeTeacher(path, { teacher: teacher.name, probabilities, pictures, dex });
    }
    // Read back in half precision, so that a student learns the same whether its teacher was asked now or before.
    parts.push(await readTeacher(path));
  }
  const { probabilities, pictures, dex } = joinTeacherAnswers(parts);
  const dexOf = new Map(rows.map((row) => [row.id, row.dex])), classOf = new Map(dex.map((number, c) => [number, c]));
  return {
    ...{ model: teacher.name, pictures, dex, labels: pictures.map((id) => classOf.get(dexOf.get(id)!)!) },
    probabilities: { values: probabilities.data, classes: dex.length },
  };
}

/** Pictures of a network between two files: a minute or two of its work. */
const PART = 2048;

type OpenOptions = AskTeachersOptions & { readonly folder: string };

async function openTeacher(name: string, data: Dataset, options: OpenOptions): Promise<Teacher> {
  const { models = join(projectFolder, "models") } = options;
  for (const place of [name, ...(/[\\/]/.test(name) ? [] : [join(models, name)])]) {
    if (await exists(join(place, "hybrid.json"))) return await openHybridTeacher(place, data, options);
  }
  return await openNetworkTeacher(name, data, options);
}

async function openNetworkTeacher(name: string, data: Dataset, options: OpenOptions): Promise<Teacher> {
  const { folder, threads, onProgress, signal } = options;
  const model = await openModel(name, options), { card, classes } = model;
  let decoded: Split | undefined;
  const { name: title, file, temperature, input, trainedOn: { background, boxes, pictures } } = card;
  return {
    name: title,
    identity: sha256(JSON.stringify([file.sha256, temperature, input, background, boxes])),
    ...{ trainedOn: pictures, part: PART },
    async ask(split, rows) {
      if (decoded !== split) (await openPictures(data, { ...input, splits: [split], onProgress }))[Symbol.dispose]();
      decoded = split; // all of them, so that the parts after this one find theirs
      const judgement = await judgeModel(
        model,
        splitPictures({ ...data, rows: { ...data.rows, [split]: rows } }, split),
        {
          batch: 32,
          ...(signal ? { signal } : {}),
          ...(onProgress
            ? {
              onProgress: progressOf(
                onProgress,
                `${title} on ${split}`,
                data.rows[split].indexOf(rows[0]!),
                data.rows[split].length,
              ),
            }
            : {}),
        },
      );
      return {
        probabilities: tempered(judgement.distributions[OUTPUTS.probabilities]!, temperature),
        pictures: judgement.facts.map(({ id }) => id),
        dex: classes.map(({ dex }) => dex),
      };
    },
    async features(split) {
      const seen = await visualFeatures(model, data, split, {
        ...{ folder },
        ...(threads === undefined ? {} : { threads }),
        ...(onProgress ? { onProgress } : {}),
      });
      return seen.visual.at(-1)!;
    },
    [Symbol.asyncDispose]: () => model[Symbol.asyncDispose](),
  };
}

/** Tells of a part's pictures as some of a split's. */
function progressOf(listener: ProgressListener, label: string, before: number, total: number): ProgressListener {
  return (event) => listener({ ...event, label, done: before + event.done, total });
}

/** Throws InputError unless network and encoder are those whose features the hybrid was trained on. */
async function openHybridTeacher(place: string, data: Dataset, options: OpenOptions): Promise<Teacher> {
  const { folder, threads, onProgress, signal, model = SHIPPED_NETWORK, encoder: told = SHIPPED_CLIP } = options;
  const parts = await readHybrid(place), { models, dex } = parts;
  await using stack = new AsyncDisposableStack();
  const network = stack.use(await openModel(model, options));
  const encoder = stack.use(await openVlm(told, options));
  const found = { visual: network.card.file.sha256, embedding: encoder.identity };
  for (const modality of ["visual", "embedding"] as const) {
    const { name, identity } = models[modality];
    if (identity === found[modality]) continue;
    throw new InputError(
      `${place}: expected the ${modality === "visual" ? "picture network" : "encoder"} ${name} (${
        identity.slice(0, 12)
      }), found ${modality === "visual" ? model : told} (${found[modality].slice(0, 12)})`,
    );
  }
  const hybrid = stack.use(await HybridClassifier.open(parts, threads === undefined ? {} : { threads }));
  const features = (split: Split) =>
    hybridFeatures({ network, encoder }, data, split, { folder, threads, onProgress, signal });
  const owned = stack.move();
  return {
    name: basename(place),
    identity: await sha256File(join(place, "hybrid.json")),
    ...{ trainedOn: network.card.trainedOn.pictures, part: Infinity }, // the features are kept by themselves
    async ask(split) {
      const { visual, embedding, pictures } = await features(split);
      const part = (all: Tensor<"float32">, rows: readonly number[]) => {
        const width = all.shape[1]!, from = rows[0]! * width;
        return tensor("float32", [rows.length, width], all.data.slice(from, from + rows.length * width));
      };
      const probabilities = await inBatches({ labels: new Int32Array(pictures.length), dex }, async (rows) => {
        const answer = await hybrid.classify({
          visual: visual.map((scale) => part(scale, rows)),
          embedding: part(embedding, rows),
        });
        return tensor("float32", [rows.length, dex.length], answer.probabilities.values);
      });
      return { probabilities, pictures, dex };
    },
    features: async (split) => (await features(split)).visual.at(-1)!,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
