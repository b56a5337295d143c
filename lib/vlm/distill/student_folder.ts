/** What a student is given away as: `student.onnx`, `prototypes.safetensors`, `card.json`; and how such a folder is opened. */

import { join } from "node:path";
import { z } from "zod";
import type { Picture } from "../../data/mod.ts";
import { cardSchema, type ModelPackage, type PictureSet } from "../../experiment/mod.ts";
import { shareWithin } from "../../evaluate/mod.ts";
import { compactWeights, cutGraph, fromFile, toModel } from "../../onnx/mod.ts";
import {
  ensureParent,
  exists,
  InputError,
  openSession,
  readJson,
  type Session,
  sha256,
  sha256File,
  type Tensor,
  tensor,
  WorkError,
  writeAtomic,
} from "../../runtime/mod.ts";
import { cardImages } from "./card_input.ts";
import { OpenSpecies } from "./open_species.ts";
import { STUDENT_VALUES } from "./student.ts";
import type { Teacher } from "./teacher.ts";

/** The largest student.onnx, bytes: what small devices have room for. */
const LARGEST = 3_000_000;

const FILES = { model: "student.onnx", prototypes: "prototypes.safetensors", card: "card.json" } as const;

const file = z.strictObject({ name: z.string(), bytes: z.int().min(1), sha256: z.string().length(64) });
const share = z.number().min(0).max(1);
const byPrototypes = z.strictObject({
  n: z.int().min(1),
  top1: share,
  top1_ci95: z.tuple([share, share]),
  top5: share,
  top5_ci95: z.tuple([share, share]),
});

/** Accuracy of embeddings by the prototypes of all classes. */
export type PrototypeFigures = z.output<typeof byPrototypes>;

/** What `card.json` holds. */
export const studentCardSchema = z.strictObject({
  format: z.literal("pokedex-student-1"),
  name: z.string().min(1),
  /** One sentence. */
  about: z.string(),
  model: file,
  prototypes: file,
  /** How pictures come in, as in a model's card. */
  input: cardSchema.shape.input,
  /** [N, dimension], of length 1. */
  output: z.literal(STUDENT_VALUES.embedding),
  dimension: z.int().min(1),
  /** Weights as whole numbers with one scale a channel; computing stays in float32. */
  weights: z.literal("int8"),
  teacher: z.strictObject({ name: z.string(), identity: z.string() }),
  trainedOn: cardSchema.shape.trainedOn,
  metrics: z.strictObject({
    /** Of the network before its weights were rounded. */
    float32: cardSchema.shape.metrics,
    /** Of this file, by its prototypes, on the test split. */
    int8: byPrototypes.optional(),
    /** Of the teacher, on the same pictures and by the same prototypes. */
    teacher: byPrototypes.optional(),
  }),
});

/** What `card.json` holds. */
export type StudentCard = z.output<typeof studentCardSchema>;

/** An opened student. */
export interface OpenedStudent extends AsyncDisposable {
  readonly folder: string;
  readonly card: StudentCard;
  /** Its classifier; to be changed freely. */
  readonly species: OpenSpecies;
  /** Embeddings of length 1 of pictures in memory, [N, dimension]. */
  embedImages(pictures: readonly Picture[]): Promise<Tensor<"float32">>;
  /** Embeddings of pictures that are already as the card asks, [N, 3, size, size]. */
  embed(images: Tensor): Promise<Tensor<"float32">>;
}

/**
 * Writes the folder of a trained student from its run's model: the part up to the embedding, weights as int8. Throws WorkError where
 * it is above 3 MB.
 */
export async function exportStudent(
  { folder: run, card, classes }: ModelPackage,
  { folder, teacher, prototypes, scale, validation, test, teacherFigures }: {
    /** The new folder. */
    readonly folder: string;
    readonly teacher: Pick<Teacher, "name" | "identity">;
    /** [C, D], in the order of the classes. */
    readonly prototypes: Tensor<"float32">;
    readonly scale: number;
    /** Tells how far pictures lie from prototypes. */
    readonly validation: PictureSet;
    /** To measure the file on. */
    readonly test?: PictureSet | undefined;
    /** Of the teacher on the same pictures. */
    readonly teacherFigures?: PrototypeFigures | undefined;
  },
): Promise<StudentCard> {
  const graph = cutGraph(await fromFile(join(run, card.file.name)), { outputs: [STUDENT_VALUES.embedding] });
  compactWeights(graph, "int8");
  const bytes = toModel(graph), [, dimension] = prototypes.shape as [number, number];
  if (bytes.length > LARGEST) {
    throw new WorkError(
      `${
        join(folder, FILES.model)
      }: expected at most ${LARGEST} bytes, found ${bytes.length}; lower model.width or model.depth`,
    );
  }
  await using session = await openSession(bytes, { name: FILES.model });
  const shown = { session, card, classes };
  const species = new OpenSpecies({ dimension, scale, gap: await gapOf(prototypes, embeddingsOf(validation, shown)) });
  classes.forEach(({ name }, i) =>
    species.add({
      name,
      texts: tensor("float32", [1, dimension], prototypes.data.slice(i * dimension, (i + 1) * dimension)),
    })
  );
  const paths = { model: join(folder, FILES.model), prototypes: join(folder, FILES.prototypes) };
  await ensureParent(paths.model);
  await Deno.remove(join(folder, FILES.card)).catch(() => {}); // while the files change the folder is no student
  await writeAtomic(paths.model, bytes, { durable: true });
  await species.save(paths.prototypes);
  const int8 = test && await measure(species, classes, embeddingsOf(test, shown));
  const written = studentCardSchema.parse({
    format: "pokedex-student-1",
    name: `${card.name}-student`,
    about:
      `A student of ${teacher.name}: embeddings of ${dimension} numbers at ${card.input.size} px (${card.decode.family}), ` +
      `${classes.length.toLocaleString("en-US")} species by their prototypes.`,
    model: { name: FILES.model, bytes: bytes.length, sha256: sha256(bytes) },
    prototypes: {
      name: FILES.prototypes,
      bytes: (await Deno.stat(paths.prototypes)).size,
      sha256: await sha256File(paths.prototypes),
    },
    ...{ input: card.input, output: STUDENT_VALUES.embedding, dimension, weights: "int8" },
    teacher: { name: teacher.name, identity: teacher.identity },
    trainedOn: card.trainedOn,
    metrics: {
      float32: card.metrics,
      ...(int8 ? { int8 } : {}),
      ...(teacherFigures ? { teacher: teacherFigures } : {}),
    },
  });
  await writeAtomic(join(folder, FILES.card), JSON.stringify(written, null, 2) + "\n");
  return written;
}

/** Opens a student's folder. Throws InputError in one line for what is missing, cut, or not what the card says. */
export async function openStudent(
  folder: string,
  { threads }: { readonly threads?: number } = {},
): Promise<OpenedStudent> {
  const cardPath = join(folder, FILES.card);
  if (!(await exists(cardPath))) {
    throw new InputError(
      `${cardPath}: expected the card of a student, found nothing there; "deno task train --config configs/clip/student.yaml" writes one`,
    );
  }
  const parsed = studentCardSchema.safeParse(await readJson(cardPath));
  if (!parsed.success) {
    const [{ path, message }] = parsed.error.issues as [z.core.$ZodIssue];
    throw new InputError(`${cardPath}: ${path.join(".") || "the card"}: ${message}`);
  }
  const card = parsed.data;
  for (const { name, sha256: expected } of [card.model, card.prototypes]) {
    const path = join(folder, name), found = await exists(path) ? await sha256File(path) : "no file";
    if (found !== expected) {
      throw new InputError(
        `${path}: expected the file of the card (SHA-256 ${expected.slice(0, 12)}…), found ${found.slice(0, 12)}`,
      );
    }
  }
  const species = await OpenSpecies.load(join(folder, card.prototypes.name));
  const session = await openSession(join(folder, card.model.name), { threads });
  const embed = (images: Tensor) => embedded(session, card.input.name, images);
  return {
    ...{ folder, card, species, embed },
    embedImages: async (pictures) => await embed(await cardImages(pictures, card.input)),
    [Symbol.asyncDispose]: () => session.dispose(),
  };
}

async function embedded(session: Session, input: string, images: Tensor): Promise<Tensor<"float32">> {
  return (await session.run({ [input]: images }))[STUDENT_VALUES.embedding] as Tensor<"float32">;
}

/** What an opened file gives for pictures, with their labels. */
interface EmbeddedBatch {
  readonly embeddings: Tensor<"float32">;
  readonly labels: readonly number[];
}

async function* embeddingsOf(
  pictures: PictureSet,
  { session, card, classes }: Pick<ModelPackage, "card" | "classes"> & { readonly session: Session },
): AsyncGenerator<EmbeddedBatch> {
  using opened = await pictures.open({ card, dex: classes.map(({ dex }) => dex), batch: 64 });
  for await (const { images, labels } of opened.batches()) {
    yield { embeddings: await embedded(session, card.input.name, images), labels };
  }
}

/** The mean embedding of pictures less the mean prototype, [D]; a species counts as much as it has pictures. */
async function gapOf(
  prototypes: Tensor<"float32">,
  batches: AsyncIterable<EmbeddedBatch>,
): Promise<Float32Array> {
  const [, dimension] = prototypes.shape as [number, number], gap = new Float64Array(dimension);
  let count = 0;
  for await (const { embeddings: { data }, labels } of batches) {
    for (const [i, label] of labels.entries()) {
      for (let d = 0; d < dimension; d++) gap[d]! += data[i * dimension + d]! - prototypes.data[label * dimension + d]!;
    }
    count += labels.length;
  }
  return Float32Array.from(gap, (sum) => sum / count);
}

/** Top-1 and top-5 of embeddings by prototypes. */
async function measure(
  species: OpenSpecies,
  classes: ModelPackage["classes"],
  batches: AsyncIterable<EmbeddedBatch>,
): Promise<PrototypeFigures> {
  const ranks: number[] = [];
  for await (const { embeddings, labels } of batches) {
    const guesses = species.classify(embeddings, classes.length);
    labels.forEach((label, i) => ranks.push(guesses[i]!.findIndex(({ name }) => name === classes[label]!.name)));
  }
  return prototypeFigures(ranks);
}

/** The figures of how many classes come before the right one, of each picture. */
export function prototypeFigures(ranks: ArrayLike<number>): PrototypeFigures {
  const top1 = shareWithin(ranks, 1), top5 = shareWithin(ranks, 5);
  return {
    n: ranks.length,
    ...{ top1: top1.share, top1_ci95: [...top1.ci95], top5: top5.share, top5_ci95: [...top5.ci95] },
  };
}
