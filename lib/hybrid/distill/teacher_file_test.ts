import assert from "node:assert/strict";
import { join } from "node:path";
import { encodeSafetensors } from "../../onnx/mod.ts";
import { tensor } from "../../runtime/mod.ts";
import type { Answers } from "../answers.ts";
import { teacherLookUp } from "./distill_probabilities.ts";
import { ensembleTeacher, joinTeacherAnswers, readTeacher, type TeacherAnswers, writeTeacher } from "./teacher_file.ts";

const answers = (model: string, rows: number[][], rest: Partial<Answers> = {}): Answers => ({
  ...{ model, probabilities: { values: Float32Array.from(rows.flat()), classes: rows[0]!.length } },
  ...{ labels: [0, 1], pictures: ["a", "b"], dex: [25, 4] },
  ...rest,
});
const close = (found: ArrayLike<number>, expected: readonly number[], tolerance = 1e-6) => {
  assert.equal(found.length, expected.length);
  expected.forEach((value, i) => assert.ok(Math.abs(found[i]! - value) <= tolerance, `${found[i]} for ${value}`));
};

Deno.test("an ensemble's teacher is the mean of its members, brought into one order, or their late fusion", () => {
  const first = answers("net", [[0.8, 0.2], [0.4, 0.6]]);
  const second = answers("clip", [[0.5, 0.5], [0.9, 0.1]], { pictures: ["b", "a"], labels: [0, 1], dex: [4, 25] });
  const mean = ensembleTeacher([first, second]);
  assert.deepEqual([mean.teacher, mean.pictures, mean.dex], ["net + clip", ["a", "b"], [25, 4]]);
  close(mean.probabilities.data, [(0.8 + 0.1) / 2, (0.2 + 0.9) / 2, (0.4 + 0.5) / 2, (0.6 + 0.5) / 2]);
  const fusion = { weights: [0.5, 0.5], temperatures: [1, 1], temperature: 1, top1: 0, alone: [] };
  const fused = ensembleTeacher([first, second], { fusion });
  const raw = [Math.sqrt(0.8 * 0.1), Math.sqrt(0.2 * 0.9)], sum = raw[0]! + raw[1]!;
  close(fused.probabilities.data.slice(0, 2), raw.map((value) => value / sum));
  assert.throws(() => ensembleTeacher([]), /expected answers of at least one model/);
  assert.throws(
    () => ensembleTeacher([first, { ...second, pictures: ["b", "c"] }]),
    /clip: expected an answer to picture a/,
  );
});

Deno.test("a teacher's file gives back what was written, to half precision; damaged and other files are refused", async () => {
  const folder = await Deno.makeTempDir({ prefix: "pokedex_teacher_" }), path = join(folder, "teacher.safetensors");
  try {
    const first: TeacherAnswers = {
      ...ensembleTeacher([answers("net", [[0.8, 0.2], [0.4, 0.6]])]),
      features: tensor("float32", [2, 3], [1, 2, 3, 4, 5, 6]),
    };
    const second = { ...first, pictures: ["c", "d"] };
    const all = joinTeacherAnswers([first, second]);
    await writeTeacher(path, all);
    const read = await readTeacher(path);
    assert.deepEqual([read.teacher, read.pictures, read.dex], ["net", ["a", "b", "c", "d"], [25, 4]]);
    close(read.probabilities.data, [0.8, 0.2, 0.4, 0.6, 0.8, 0.2, 0.4, 0.6], 5e-4);
    assert.deepEqual([...read.features!.data], [1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6]);
    await writeTeacher(path, second);
    assert.notEqual((await readTeacher(path)).identity, read.identity);

    assert.throws(() => joinTeacherAnswers([first, first]), /teacher net: expected one answer a picture/);
    assert.throws(() => joinTeacherAnswers([first, { ...second, teacher: "clip" }]), /of one kind, found teacher clip/);
    assert.throws(() => joinTeacherAnswers([first, { ...second, features: undefined }]), /found other features/);
    await assert.rejects(readTeacher(join(folder, "none")), /none: expected a teacher's answers, found/);
    await Deno.writeFile(path, encodeSafetensors([], { format: "other" }));
    await assert.rejects(readTeacher(path), /teacher.safetensors: format: expected pokedex-teacher-1, found "other"/);
    const metadata = { format: "pokedex-teacher-1", teacher: "net", pictures: "[", dex: "[]" };
    await Deno.writeFile(path, encodeSafetensors([], metadata));
    await assert.rejects(readTeacher(path), /teacher.safetensors: pictures: expected JSON/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a student looks up its own pictures and species, and what the teacher was not asked is refused", () => {
  const teacher: TeacherAnswers = {
    ...{ teacher: "net", pictures: ["a", "b"], dex: [1, 4, 7] },
    probabilities: tensor("float32", [2, 3], [0.5, 0.2, 0.3, 0, 1, 0]),
  };
  const lookUp = teacherLookUp(teacher, [7, 1]);
  close(lookUp.probabilities(["b", "a"]), [0.5, 0.5, 0.3 / 0.8, 0.5 / 0.8]); // of b it sees neither species
  assert.throws(() => lookUp.probabilities(["c"]), /teacher net: expected an answer to picture c, found none/);
  assert.throws(() => lookUp.features(["a"]), /teacher net: expected features for hints, found none/);
  assert.throws(() => teacherLookUp(teacher, [25]), /teacher net: expected to know species 25, found 3 others/);
});
