/** The search for names against all of them one by one, on a random model with the Hub's files; what is wrong is told in one line. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { augment } from "../../data/mod.ts";
import { openSession, Random, tensor } from "../../runtime/mod.ts";
import { writeTinyModel } from "./fixture.ts";
import { openIdefics3 } from "./idefics3.ts";
import { openGenerativeVlm } from "./mod.ts";
import { NameTrie, searchNames } from "./name_trie.ts";

const folder = await Deno.makeTempDir({ prefix: "pokedex_generative_" }), tiny = join(folder, "tiny");
Deno.test.afterAll(() => Deno.remove(folder, { recursive: true }));
await writeTinyModel(tiny);
const NAMES = ["Pikachu", "Pichu", "Mew", "Mewtwo", "Mr. Mime", "Farfetch’d", "Nidoran♀", "Flabébé", "Muk"];
const options = { names: NAMES, precision: "fp32", threads: 1, download: false } as const;
const random = Random.seeded("picture");
const picture = augment.pictureFrom(Uint8Array.from({ length: 3 * 12 * 9 }, () => random.int(256)), 12, 9, 3);

Deno.test("the search finds the likeliest names exactly, where the likeliest first token leads to none of them", async () => {
  // p(1) = 0.5 but its names share it; p(2) = 0.4 is all of one name's. Ends: token 0.
  const table: Record<string, number[]> = {
    "": [0, 0.5, 0.4, 0.1],
    "1": [0.2, 0.4, 0.4, 0],
    "1,1": [1, 0, 0, 0],
    "1,2": [0.5, 0.5, 0, 0],
    "2": [0.9, 0.1, 0, 0],
    "3": [1, 0, 0, 0],
  };
  const trie = new NameTrie();
  const names = { a: [1], aa: [1, 1], ab: [1, 2], b: [2], c: [3] };
  for (const [name, tokens] of Object.entries(names)) trie.add(name, tokens);
  let asked = 0;
  const next = (beginnings: readonly (readonly number[])[]) => {
    asked += beginnings.length;
    return Promise.resolve(beginnings.map((tokens) => Float32Array.from(table[tokens.join(",")]!, Math.log)));
  };
  const found = await searchNames(trie, next, { top: 5, ends: [0], tolerance: 0, batch: 1 });
  const expected = { b: 0.36, aa: 0.2, a: 0.1, ab: 0.1, c: 0.1 };
  assert.deepEqual(found.names.map(({ name }) => name), ["b", "aa", "a", "ab", "c"]);
  for (const { name, logProbability } of found.names) {
    assert.ok(Math.abs(Math.exp(logProbability) - expected[name as "a"]) < 1e-6, name);
  }
  assert.ok(Math.abs(found.mass - 0.86) < 1e-6);
  assert.equal(found.rest, 0);
  asked = 0;
  const first = await searchNames(trie, next, { top: 1, ends: [0], tolerance: 1, batch: 1 });
  assert.deepEqual(first.names.map(({ name }) => name), ["b"]);
  // The start, "1", "2": what is open then has 0.2 + 0.2 + 0.1.
  assert.equal(asked, 3);
  assert.ok(Math.abs(first.rest - 0.5) < 1e-6);
});

Deno.test("names in a batch with the cache have the probabilities of whole sequences without one, and sum to 1 as scores", async () => {
  await using vlm = await openGenerativeVlm(tiny, options);
  assert.deepEqual(vlm.names, NAMES);
  const { guesses, unreached } = await vlm.nameOf(picture, { top: NAMES.length, tolerance: 0 });
  assert.equal(unreached, 0);
  assert.ok(Math.abs(guesses.reduce((sum, { score }) => sum + score, 0) - 1) < 1e-9);
  assert.deepEqual(guesses.map(({ score }) => score), guesses.map(({ score }) => score).toSorted((a, b) => b - a));
  const expected = await wholeSequences();
  assert.equal(guesses.length, NAMES.length);
  for (const { name, logProbability } of guesses) {
    assert.ok(
      Math.abs(logProbability - expected.get(name)!) < 1e-4,
      `${name}: ${logProbability}, ${expected.get(name)}`,
    );
  }
  const few = await vlm.nameOf(picture, { top: 3, tolerance: 1 });
  assert.deepEqual(few.guesses.map(({ name }) => name), guesses.slice(0, 3).map(({ name }) => name));
  const other = augment.pictureFrom(new Uint8Array(4 * 12 * 9).fill(255), 12, 9, 4);
  const [elsewhere] = (await vlm.nameOf(other, { tolerance: 0 })).guesses;
  assert.notEqual(elsewhere!.logProbability, guesses.find(({ name }) => name === elsewhere!.name)!.logProbability);
});

/** log p of each name by the package's own processor and one run of the decoder over prompt, name and end, without a cache. */
async function wholeSequences(): Promise<Map<string, number>> {
  const { env, Idefics3Processor, LogLevel, RawImage } = await import("@huggingface/transformers");
  env.localModelPath = "";
  env.allowRemoteModels = false;
  env.logLevel = LogLevel.NONE;
  const processor = await Idefics3Processor.from_pretrained(tiny, { "local_files_only": true });
  const question = "Which Pokémon is this? Answer with its name only.";
  const prompt = `<|im_start|>User:<image>${question}<end_of_utterance>\nAssistant:`;
  const image = new RawImage(picture.data, 12, 9, 4).rgb();
  const [vision, embed, decoder] = await Promise.all(
    ["vision_encoder", "embed_tokens", "decoder_model_merged"].map((name) =>
      openSession(join(tiny, `onnx/${name}.onnx`))
    ),
  );
  const made = new Map<string, number>();
  for (const name of NAMES) {
    const given = await processor(`${prompt} ${name}<end_of_utterance>`, [image], { "do_image_splitting": false });
    const start = await processor(prompt, [image], { "do_image_splitting": false });
    const ids = Array.from(given["input_ids"].data as BigInt64Array, Number), length = ids.length;
    const features = await vision!.run({
      "pixel_values": tensor("float32", given["pixel_values"].dims, given["pixel_values"].data),
      "pixel_attention_mask": tensor("bool", given["pixel_attention_mask"].dims, given["pixel_attention_mask"].data),
    });
    const embeds = (await embed!.run({ "input_ids": tensor("int64", [1, length], ids) }))["inputs_embeds"]!;
    const image0 = JSON.parse(await Deno.readTextFile(join(tiny, "config.json")))["image_token_id"] as number;
    const places = ids.flatMap((id, i) => id === image0 ? [i] : []);
    assert.equal(places.length, 4);
    places.forEach((place, i) =>
      (embeds.data as Float32Array).set(
        (features["image_features"]!.data as Float32Array).subarray(12 * i, 12 * i + 12),
        12 * place,
      )
    );
    const { logits } = await decoder!.run({
      "inputs_embeds": embeds,
      "attention_mask": tensor("int64", [1, length], new Array(length).fill(1)),
      "position_ids": tensor("int64", [1, length], ids.map((_, i) => i)),
      "past_key_values.0.key": tensor("float32", [1, 2, 0, 6], []),
      "past_key_values.0.value": tensor("float32", [1, 2, 0, 6], []),
    });
    const size = logits!.shape[2]!, all = logits!.data as Float32Array;
    let sum = 0;
    for (let at = start["input_ids"].dims[1]; at < length; at++) {
      const row = Array.from(all.subarray((at - 1) * size, at * size));
      sum += row[ids[at]!]! - Math.log(row.reduce((total, x) => total + Math.exp(x), 0));
    }
    made.set(name, sum);
  }
  for (const session of [vision, embed, decoder]) await session!.dispose();
  return made;
}

Deno.test("what is transparent is seen as white, whatever colour it hides", async () => {
  await using vlm = await openGenerativeVlm(tiny, options);
  const pixels = (...pixel: number[]) =>
    augment.pictureFrom(Uint8Array.from({ length: 256 }, (_, i) => pixel[i % 4]!), 8, 8, 4);
  const [hidden, white, red] = await Promise.all(
    [pixels(255, 0, 0, 0), pixels(255, 255, 255, 255), pixels(255, 0, 0, 255)].map((each) => vlm.nameOf(each)),
  );
  assert.deepEqual(hidden, white);
  assert.notDeepEqual(hidden, red);
});

Deno.test("large pictures are shown in parts where that is asked for", async () => {
  const model = await openIdefics3(tiny, { precision: "fp32", split: true, threads: 1 });
  const large = augment.pictureFrom(new Uint8Array(4 * 40 * 20).fill(90), 40, 20, 4);
  await assert.doesNotReject(async () => await model.ask(large, "Which?"));
  await model[Symbol.asyncDispose]();
});

Deno.test("what cannot be opened is told in one line: a missing file, a cut one, another architecture, a name without tokens", async () => {
  const copy = async (name: string) => {
    const to = join(folder, name);
    await writeTinyModel(to);
    return to;
  };
  const refused = async (place: string, expected: RegExp, names: readonly string[] = NAMES) => {
    await assert.rejects(
      openGenerativeVlm(place, { ...options, names, cache: join(folder, "cache") }),
      (error: Error) => {
        assert.equal(error.name, "InputError");
        assert.match(error.message, expected);
        assert.ok(!error.message.includes("\n"), error.message);
        return true;
      },
    );
  };
  await refused("nowhere", /"nowhere": expected a folder or a name OWNER\/NAME of the Hub, found neither/);
  await refused("some/model", /some\/model: expected a folder or a snapshot in .*cache, found neither/);
  const without = await copy("without");
  await Deno.remove(join(without, "onnx/embed_tokens.onnx"));
  await refused(without, /embed_tokens\.onnx: expected a file of the model, found nothing there/);
  const cut = await copy("cut"), path = join(cut, "onnx/decoder_model_merged.onnx"), bytes = await Deno.readFile(path);
  await Deno.writeFile(path, bytes.subarray(0, bytes.length / 2));
  await refused(cut, /decoder_model_merged\.onnx: expected /);
  const cutText = await copy("cut-text"), tokenizer = join(cutText, "tokenizer.json");
  await Deno.writeTextFile(tokenizer, (await Deno.readTextFile(tokenizer)).slice(0, 100));
  await refused(cutText, /tokenizer\.json: expected /);
  const other = await copy("other");
  await Deno.writeTextFile(join(other, "config.json"), JSON.stringify({ architectures: ["CLIPModel"] }));
  await refused(
    other,
    /config\.json: expected the architecture Idefics3ForConditionalGeneration, found \["CLIPModel"\]/,
  );
  const poor = join(folder, "poor");
  await writeTinyModel(poor, { bytes: false });
  await refused(poor, /tokenizer\.json: expected tokens for " Xatu", found those of "/, ["Pikachu", "Xatu"]);
  await refused(tiny, /name "Mew": expected tokens of its own, found those of "Mew"/, ["Mew", "Mew"]);
  await refused(tiny, /names: expected at least one, found none/, []);
});

Deno.test("a snapshot in the Hub's cache is found by its name; bytes that are no picture are refused", async () => {
  const cache = join(folder, "hub"), snapshot = join(cache, "models--some--tiny", "snapshots", "abc");
  await writeTinyModel(snapshot);
  await using vlm = await openGenerativeVlm("some/tiny", { ...options, cache });
  assert.equal(vlm.name, "some/tiny");
  const file = join(folder, "picture.png");
  await Deno.writeTextFile(file, "no picture");
  await assert.rejects(vlm.nameOf(file), {
    name: "InputError",
    message: /picture\.png: expected a picture, found "no picture"/,
  });
  await assert.rejects(vlm.nameOf(join(folder, "none.png")), /none\.png: expected a picture, found /);
  await assert.rejects(vlm.nameOf(picture, { top: 0 }), /expected at least one guess, found 0/);
});
