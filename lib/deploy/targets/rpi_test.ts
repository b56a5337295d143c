import assert from "node:assert/strict";
import { join } from "node:path";
import { openModel, predictPictures, projectFolder } from "../../experiment/mod.ts";
import { drawPictures } from "./export_fixture.ts";
import { exportTarget } from "./export_target.ts";

const folder = await Deno.makeTempDir({ prefix: "pokedex_rpi_" });
const pictures = await drawPictures(join(folder, "pictures"));
Deno.test.afterAll(() => Deno.remove(folder, { recursive: true }));

Deno.test("the Raspberry Pi's runner says of pictures what the library says: the same species, probabilities to 1e-4", async () => {
  await using model = await openModel("pokedex-1025");
  const place = join(folder, "pi");
  await exportTarget(model, "rpi", place);
  const runner = (...args: string[]) =>
    new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        "--no-check",
        "--config",
        join(projectFolder, "deno.json"),
        join(place, "runner.mjs"),
        ...args,
      ],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).output();
  const note = join(folder, "note.png");
  await Deno.writeTextFile(note, "no picture");
  const { code, stdout, stderr } = await runner("--threads", "1", "--top", "3", join(folder, "pictures"), note);
  assert.equal(code, 2, new TextDecoder().decode(stderr));
  const lines = new TextDecoder().decode(stdout).trim().split("\n").map((line) => JSON.parse(line));
  assert.match(lines.pop().error, /note\.png: expected a picture, found/);
  const expected = await predictPictures(model, pictures.toSorted(), { top: 3 });
  assert.deepEqual(lines.map(({ image }) => image), expected.map(({ image }) => image));
  assert.ok(new Set(expected.map(({ top }) => top[0]!.dex)).size > 3); // not one answer for all
  for (const [i, { top }] of expected.entries()) {
    for (const [k, { dex, name, score }] of top.entries()) {
      const found = lines[i].top[k];
      assert.deepEqual([found.dex, found.name], [dex, name]);
      assert.ok(Math.abs(found.score - score) <= 1e-4, `${found.score} beside ${score}`);
    }
  }
  const tested = await runner("--self-test");
  assert.match(new TextDecoder().decode(tested.stdout), /self-test: 3 pictures as expected/);
  const answers = join(place, "selftest.json");
  await Deno.writeTextFile(
    answers,
    (await Deno.readTextFile(answers)).replace(/"class": (\d+)/, (_, c) => `"class": ${Number(c) ^ 1}`),
  );
  const failed = await runner("--self-test");
  assert.equal(failed.code, 1);
  assert.match(
    new TextDecoder().decode(failed.stderr),
    /^error: selftest-1\.png: expected class \d+ with 0\.\d+, found \d+/,
  );
});
