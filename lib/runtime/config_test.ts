import assert from "node:assert/strict";
import { join } from "node:path";
import { z } from "zod";
import { InputError } from "./errors.ts";
import { mergeConfig, parseConfig, readConfig } from "./config.ts";

const schema = z.strictObject({
  name: z.string(),
  train: z.strictObject({
    learningRate: z.number().positive().max(1),
    batch: z.int().min(1),
    loss: z.enum(["bce", "ce"]),
  }),
  sizes: z.array(z.int()).default([]),
});

const good = "name: a\ntrain:\n  learningRate: 0.1\n  batch: 16\n  loss: ce\n";

function refuses(text: string, message: RegExp) {
  assert.throws(() => parseConfig(text, schema, "a.yaml"), (error: Error) => {
    assert.ok(error instanceof InputError);
    assert.match(error.message, message);
    assert.ok(!error.message.includes("\n"));
    return true;
  });
}

Deno.test("a right file is read and its defaults are filled in", () => {
  assert.deepEqual(parseConfig(good, schema, "a.yaml"), {
    name: "a",
    train: { learningRate: 0.1, batch: 16, loss: "ce" },
    sizes: [],
  });
});

Deno.test("an unknown key is refused with its own line and column", () => {
  refuses(
    good.replace("  batch", "  bacth: 3\n  batch"),
    /^a\.yaml:4:3: train\.bacth: expected a known key, found "bacth"$/,
  );
});

Deno.test("a wrong type names line, column, expectation and finding", () => {
  refuses(good.replace("16", '"many"'), /^a\.yaml:4:3: train\.batch: expected \w+, found "many"$/);
});

Deno.test("a value out of range names its bound", () => {
  refuses(good.replace("0.1", "7"), /^a\.yaml:3:3: train\.learningRate: expected at most 1, found 7$/);
  refuses(good.replace("16", "0"), /^a\.yaml:4:3: train\.batch: expected at least 1, found 0$/);
});

Deno.test("a value that is not among the choices names them", () => {
  refuses(good.replace("ce\n", "mse\n"), /^a\.yaml:5:3: train\.loss: expected bce or ce, found "mse"$/);
});

Deno.test("a missing key points at its parent, an item of a list at its own line", () => {
  refuses(
    "name: a\ntrain:\n  batch: 1\n  loss: ce\n",
    /^a\.yaml:2:1: train\.learningRate: expected number, found nothing$/,
  );
  refuses(good + "sizes:\n  - 1\n  - x\n", /^a\.yaml:8:5: sizes\.1: expected \w+, found "x"$/);
});

Deno.test("broken YAML, a list at the top, a doubled key and a bomb of aliases are one line each", () => {
  refuses("a: [1, 2\nb: 3", /^a\.yaml:\d+:\d+: expected YAML, found/);
  refuses("- 1\n- 2\n", /^a\.yaml:1:1: expected a map of settings/);
  refuses("name: a\nname: b\n", /^a\.yaml:2:1: expected YAML, found: Map keys must be unique/);
  const bomb = ["a: &a [x,x,x,x,x,x,x,x,x]"];
  for (let i = 1; i < 9; i++) {
    const [before, now] = [String.fromCharCode(96 + i), String.fromCharCode(97 + i)];
    bomb.push(`${now}: &${now} [${Array(9).fill("*" + before).join(",")}]`);
  }
  refuses(bomb.join("\n"), /^a\.yaml: expected few aliases/);
});

Deno.test("an overlay replaces single values and errors point into the overlay", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const base = join(folder, "base.yaml"), over = join(folder, "over.yaml");
    await Deno.writeTextFile(base, good);
    await Deno.writeTextFile(over, "# comment\ntrain:\n  batch: 4\n");
    assert.equal((await readConfig(base, schema, [over])).train.batch, 4);
    assert.equal((await readConfig(base, schema, [over])).train.loss, "ce");
    await Deno.writeTextFile(over, "# comment\ntrain:\n  batch: -4\n");
    await assert.rejects(
      readConfig(base, schema, [over]),
      /over\.yaml:3:3: train\.batch: expected at least 1, found -4/,
    );
    await assert.rejects(
      readConfig(join(folder, "no.yaml"), schema),
      /no\.yaml: expected a YAML file, found nothing there/,
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("mergeConfig() merges maps, replaces lists and keeps what the overlay leaves empty", () => {
  assert.deepEqual(mergeConfig({ a: { b: 1, c: 2 }, l: [1, 2] }, { a: { c: 3 }, l: [9] }), {
    a: { b: 1, c: 3 },
    l: [9],
  });
  assert.deepEqual(mergeConfig({ a: 1 }, { a: null }), { a: 1 });
});
