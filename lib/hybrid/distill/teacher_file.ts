/** What a teacher says of every picture, kept in a file: probabilities by picture, and features for hints. */

import { z } from "zod";
import { decodeSafetensors, encodeSafetensors } from "../../onnx/mod.ts";
import { checkConfig, InputError, reason, sha256, type Tensor, tensor, writeAtomic } from "../../runtime/mod.ts";
import { aligned, type Answers } from "../answers.ts";
import { fuseLate, type LateFusion } from "../late_fusion.ts";

/** A teacher's answers to many pictures. */
export interface TeacherAnswers {
  /** For people. */
  readonly teacher: string;
  /** [N, classes]. */
  readonly probabilities: Tensor<"float32">;
  /** [N, D]: what the teacher sees on the way; for hints. */
  readonly features?: Tensor<"float32"> | undefined;
  /** The picture of each row: its id in the manifest. */
  readonly pictures: readonly string[];
  /** The dex number of each class. */
  readonly dex: readonly number[];
}

/**
 * The teacher that an ensemble is: the mean of its members' probabilities (Hinton et al. 2015, section 3), or with a fitted late fusion
 * their weighted geometric mean. Members are brought into the first one's order. Throws InputError for answers about other pictures.
 */
export function ensembleTeacher(
  members: readonly Answers[],
  { fusion, features }: { readonly fusion?: LateFusion; readonly features?: Tensor<"float32"> } = {},
): TeacherAnswers {
  const [first] = members;
  if (!first) throw new InputError("teacher: expected answers of at least one model, found none");
  const all = members.map((member) => aligned(member, first).probabilities);
  let values: Float32Array;
  if (fusion) values = fuseLate(fusion, all).values;
  else {
    values = new Float32Array(all[0]!.values.length);
    for (const member of all) member.values.forEach((value, i) => values[i]! += value / all.length);
  }
  return {
    teacher: members.map(({ model }) => model).join(" + "),
    probabilities: tensor("float32", [first.pictures.length, first.dex.length], values),
    ...{ features, pictures: first.pictures, dex: first.dex },
  };
}

/** Answers of several splits as one. Throws InputError for other teachers, classes or widths, and for a picture that is there twice. */
export function joinTeacherAnswers(parts: readonly TeacherAnswers[]): TeacherAnswers {
  const [first] = parts;
  if (!first) throw new InputError("teacher: expected answers to at least one split, found none");
  for (const part of parts) {
    const odd = part.teacher !== first.teacher
      ? `teacher ${part.teacher}`
      : String(part.dex) !== String(first.dex)
      ? "other classes"
      : part.features?.shape[1] !== first.features?.shape[1]
      ? "other features"
      : undefined;
    if (odd) throw new InputError(`teacher: expected answers of ${first.teacher} of one kind, found ${odd}`);
  }
  const pictures = parts.flatMap((part) => part.pictures);
  const stacked = (tensors: readonly Tensor<"float32">[]) => {
    const width = tensors[0]!.shape[1]!, data = new Float32Array(pictures.length * width);
    let at = 0;
    for (const part of tensors) {
      data.set(part.data, at);
      at += part.data.length;
    }
    return tensor("float32", [pictures.length, width], data);
  };
  return expectTeacher({
    ...{ teacher: first.teacher, dex: first.dex, pictures },
    probabilities: stacked(parts.map(({ probabilities }) => probabilities)),
    features: first.features && stacked(parts.map(({ features }) => features!)),
  });
}

/** Writes a teacher's answers as safetensors: "probabilities" in half precision, "features", and the rest as metadata. */
export async function writeTeacher(path: string, answers: TeacherAnswers): Promise<void> {
  const { teacher, probabilities, features, pictures, dex } = expectTeacher(answers);
  await writeAtomic(
    path,
    encodeSafetensors(
      [
        ["probabilities", tensor("float16", probabilities.shape, Float16Array.from(probabilities.data))] as const,
        ...(features ? [["features", features] as const] : []),
      ],
      { format: "pokedex-teacher-1", teacher, pictures: JSON.stringify(pictures), dex: JSON.stringify(dex) },
    ),
  );
}

/** A teacher as it lies in a file. */
export interface TeacherFile extends TeacherAnswers {
  /** SHA-256 of the file. */
  readonly identity: string;
}

const metadataSchema = z.looseObject({
  format: z.literal("pokedex-teacher-1"),
  teacher: z.string(),
  pictures: jsonOf(z.array(z.string())),
  dex: jsonOf(z.array(z.int().min(1))),
});

/** A JSON text of something. */
function jsonOf<Schema extends z.ZodType>(schema: Schema) {
  return z.string().transform((text, context): unknown => {
    try {
      return JSON.parse(text);
    } catch {
      context.addIssue({ code: "custom", message: "JSON" });
      return z.NEVER;
    }
  }).pipe(schema);
}

/** Reads what `writeTeacher` wrote. Throws InputError for a file that is none, OnnxError for one that is no safetensors file. */
export async function readTeacher(path: string): Promise<TeacherFile> {
  const bytes = await Deno.readFile(path).catch((error) => {
    throw new InputError(`${path}: expected a teacher's answers, found ${reason(error)}`, { cause: error });
  });
  const { tensors, metadata } = decodeSafetensors(bytes, { name: path });
  const { teacher, pictures, dex } = checkConfig(metadata, metadataSchema, path);
  const probabilities = tensors.get("probabilities"), features = tensors.get("features");
  if (probabilities?.dtype !== "float16" || (features && features.dtype !== "float32")) {
    throw new InputError(
      `${path}: expected "probabilities" in half precision, found ${probabilities?.dtype ?? "none"}`,
    );
  }
  const answers = {
    ...{ teacher, pictures, dex },
    probabilities: tensor("float32", probabilities.shape, Float32Array.from(probabilities.data as Float16Array)),
    ...(features ? { features: features as Tensor<"float32"> } : {}),
  };
  return { ...expectTeacher(answers), identity: sha256(bytes) };
}

function expectTeacher(answers: TeacherAnswers): TeacherAnswers {
  const { teacher, probabilities, features, pictures, dex } = answers;
  if (String(probabilities.shape) !== String([pictures.length, dex.length])) {
    throw new InputError(
      `teacher ${teacher}: expected probabilities [${pictures.length}, ${dex.length}], found [${probabilities.shape}]`,
    );
  }
  if (features && (features.shape.length !== 2 || features.shape[0] !== pictures.length)) {
    throw new InputError(`teacher ${teacher}: expected features [${pictures.length}, D], found [${features.shape}]`);
  }
  if (new Set(pictures).size !== pictures.length) {
    throw new InputError(`teacher ${teacher}: expected one answer a picture, found a picture with several`);
  }
  return answers;
}
