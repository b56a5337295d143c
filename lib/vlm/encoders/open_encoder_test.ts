import assert from "node:assert/strict";
import { join } from "node:path";
import { augment, type Picture } from "../../data/mod.ts";
import { InputError, readJson, WorkError } from "../../runtime/mod.ts";
import { writeTinyClip } from "../fixture.ts";
import { openEncoder, type OpenEncoderOptions } from "./open_encoder.ts";

/** A folder for models and caches; $POKEDEX_CLIP and Python's cache are of this test alone. */
async function inFolder(body: (folder: string, options: OpenEncoderOptions) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "pokedex_vlm_" });
  const before = ["POKEDEX_CLIP", "HF_HOME"].map((name) => [name, Deno.env.get(name)] as const);
  Deno.env.delete("POKEDEX_CLIP");
  Deno.env.set("HF_HOME", join(folder, "python"));
  try {
    await body(folder, { cacheFolder: join(folder, "cache"), threads: 1, offline: true });
  } finally {
    for (const [name, value] of before) value === undefined ? Deno.env.delete(name) : Deno.env.set(name, value);
    await Deno.remove(folder, { recursive: true });
  }
}

function plain(rgb: readonly [number, number, number]): Picture {
  return augment.pictureFrom(new Uint8Array(Array.from({ length: 20 * 30 }, () => rgb).flat()), 20, 30, 3);
}

const colours = { red: [255, 0, 0], green: [0, 255, 0], blue: [0, 0, 255], white: [255, 255, 255] } as const;

/** One line, of this class, that matches. */
function oneLine(kind: typeof InputError | typeof WorkError, pattern: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof kind, String(error));
    assert.match(error.message, pattern);
    assert.ok(!error.message.includes("\n"));
    return true;
  };
}

Deno.test("a folder opens as an encoder in which a text lies nearest to its picture, in each layout, family and precision", () =>
  inFolder(async (folder, options) => {
    const cases = [
      { style: "clip", layout: "two", dtype: "fp32" },
      { style: "siglip", layout: "two", dtype: "q8" },
      { style: "clip", layout: "one", dtype: "fp16" },
    ] as const;
    for (const { style, layout, dtype } of cases) {
      const path = join(folder, `${style}-${layout}`);
      await writeTinyClip(path, { style, layout, precisions: ["fp32", "fp16", "q8"], logitScale: 37 });
      await using encoder = await openEncoder(path, { ...options, dtype, batch: 3 });
      assert.deepEqual([encoder.dimension, encoder.preprocessing.size, encoder.dtype], [32, 16, dtype]);
      const pictures = await encoder.embedImages(Object.values(colours).map(plain));
      const texts = await encoder.embedTexts(Object.keys(colours).map((name) => `A photo of a ${name} Pokemon!`));
      for (let i = 0; i < 4; i++) {
        const row = texts.data.subarray(32 * i, 32 * (i + 1));
        assert.ok(Math.abs(row.reduce((sum, value) => sum + value * value, 0) - 1) < 1e-5);
        const cosines = [0, 1, 2, 3].map((j) => row.reduce((sum, x, d) => sum + x * pictures.data[32 * j + d]!, 0));
        assert.equal(cosines.indexOf(Math.max(...cosines)), i, `${style} ${layout}: ${Object.keys(colours)[i]}`);
      }
      // A text's row does not depend on what stands in its batch.
      const alone = await encoder.embedTexts(["A photo of a red Pokemon!"]);
      alone.data.forEach((value, d) => assert.ok(Math.abs(value - texts.data[d]!) < 1e-5));
      if (dtype !== "fp32") {
        assert.equal(encoder.verdict.method, "compared");
        assert.ok(encoder.verdict.pictures! > 0.99 && encoder.verdict.texts! > 0.99);
      }
      if (layout === "one") assert.ok(Math.abs(encoder.logitScale - 37) < 0.1, String(encoder.logitScale));
      else assert.match(encoder.notes.join(), /scale of the cosines: 100 is taken/);
    }
  }));

Deno.test("the identity follows the weights, the precision and the preprocessing", () =>
  inFolder(async (folder, options) => {
    const [a, b] = [join(folder, "a"), join(folder, "b")];
    await writeTinyClip(a, { precisions: ["fp32", "q8"] });
    await writeTinyClip(b, { seed: 2 });
    const identity = async (path: string, own: OpenEncoderOptions = {}) => {
      await using encoder = await openEncoder(path, { ...options, ...own });
      return encoder.identity;
    };
    const first = await identity(a);
    assert.equal(await identity(a), first);
    const others = [
      await identity(b),
      await identity(a, { dtype: "q8" }),
      await identity(a, { view: "content" }),
      await identity(a, { background: [0, 0, 0] }),
    ];
    assert.equal(new Set([first, ...others]).size, 5);
  }));

Deno.test("a broken quantisation is refused with the measured cosine, once and for all; without fp32 it says so", () =>
  inFolder(async (folder, options) => {
    const path = join(folder, "model");
    await writeTinyClip(path, { precisions: ["fp32", "q8"], broken: true });
    const refusal = oneLine(
      InputError,
      /vision_model_quantized\.onnx: expected q8 weights .* cosine with fp32 of -?0\.\d+ for pictures/,
    );
    await assert.rejects(openEncoder(path, { ...options, dtype: "q8" }), refusal);
    const verdicts = join(folder, "cache", "verdicts");
    const [kept] = await Array.fromAsync(Deno.readDir(verdicts));
    // The kept verdict is used: another one in its place is believed.
    await Deno.writeTextFile(join(verdicts, kept!.name), `{"method":"compared","fault":"what was kept"}`);
    await assert.rejects(openEncoder(path, { ...options, dtype: "q8" }), /found what was kept/);
    for (const name of ["text_model.onnx", "vision_model.onnx"]) await Deno.remove(join(path, "onnx", name));
    await using encoder = await openEncoder(path, { ...options, dtype: "q8" });
    assert.equal(encoder.verdict.method, "sane");
    assert.match(encoder.notes.join(), /q8 could not be compared with fp32/);
  }));

Deno.test("a tokenizer that does not fit the text model is refused in one line", () =>
  inFolder(async (folder, options) => {
    const [path, other] = [join(folder, "model"), join(folder, "other")];
    await writeTinyClip(path, { words: ["red", "green"] });
    await writeTinyClip(other);
    await Deno.copyFile(join(other, "tokenizer.json"), join(path, "tokenizer.json"));
    await assert.rejects(
      openEncoder(path, options),
      oneLine(InputError, /tokenizer\.json: expected the text model's \d+ tokens \(vocab_size\), found \d+/),
    );
    // config.json agrees with the tokenizer, the table of embeddings does not.
    await Deno.copyFile(join(other, "config.json"), join(path, "config.json"));
    await assert.rejects(
      openEncoder(path, options),
      oneLine(InputError, /tokenizer\.json: expected ids that the text model has an embedding for, found \d+ without/),
    );
  }));

Deno.test("a half-downloaded model, a missing file and a precision that is not there are told apart", () =>
  inFolder(async (folder, options) => {
    const path = join(folder, "model"), vision = join(path, "onnx", "vision_model.onnx");
    await writeTinyClip(path);
    await assert.rejects(
      openEncoder(path, { ...options, dtype: "q4" }),
      oneLine(InputError, /expected onnx\/text_model_q4\.onnx .* found text_model\.onnx, vision_model\.onnx/),
    );
    const whole = await Deno.readFile(vision);
    await Deno.writeFile(vision, whole.subarray(0, whole.length / 2));
    await assert.rejects(
      openEncoder(path, options),
      oneLine(InputError, /vision_model\.onnx: expected a whole ONNX model, found \d+ bytes that cannot be loaded/),
    );
    await Deno.rename(vision, `${vision}.part`);
    await assert.rejects(
      openEncoder(path, options),
      oneLine(InputError, /found the half-downloaded .*vision_model\.onnx\.part/),
    );
    await Deno.remove(join(path, "tokenizer.json"));
    await assert.rejects(
      openEncoder(path, options),
      oneLine(InputError, /model: expected tokenizer\.json, found none/),
    );
    await assert.rejects(
      openEncoder("no/such/folder", options),
      oneLine(InputError, /expected a model's folder or OWNER\/NAME/),
    );
  }));

Deno.test("$POKEDEX_CLIP is a model's folder, or one of OWNER/NAME folders; Python's cache is found by its refs", () =>
  inFolder(async (folder, options) => {
    const models = join(folder, "models");
    await writeTinyClip(join(models, "who", "clip"));
    Deno.env.set("POKEDEX_CLIP", join(models, "who", "clip"));
    {
      await using encoder = await openEncoder(undefined, options);
      assert.equal(encoder.origin, "folder");
    }
    Deno.env.set("POKEDEX_CLIP", models);
    {
      await using encoder = await openEncoder("who/clip", options);
      assert.deepEqual([encoder.name, encoder.folder], ["who/clip", join(models, "who/clip")]);
    }
    Deno.env.delete("POKEDEX_CLIP");
    const python = join(folder, "python", "hub", "models--some--clip"), commit = "abc123".padEnd(40, "0");
    await Deno.mkdir(join(python, "refs"), { recursive: true });
    await Deno.writeTextFile(join(python, "refs", "main"), commit);
    await writeTinyClip(join(python, "snapshots", commit));
    await using encoder = await openEncoder("some/clip", options);
    assert.deepEqual([encoder.origin, encoder.revision], ["Python cache", commit]);
    assert.ok(await readJson(join(encoder.folder, "config.json")));
  }));
