import assert from "node:assert/strict";
import { join } from "node:path";
import sharp from "sharp";
import { InputError, Random, type Tensor, tensor, WorkError } from "../../runtime/mod.ts";
import type { Picture } from "../../data/mod.ts";
import type { Encoder } from "../encoder.ts";
import { embedPictures, embedTexts } from "./embed_pictures.ts";
import { checksum, openEmbeddingCache, pictureKey, textKey } from "./embedding_cache.ts";

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "pokedex_vlm_" });
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const owner = { name: "counted", identity: "c".repeat(64), dimension: 4 };

/** Embeds a picture as its mean colour and 1, a text as its length; counts what it is asked; fails at the call `failAt`. */
class CountingEncoder implements Encoder {
  readonly name = owner.name;
  readonly identity = owner.identity;
  readonly dimension = owner.dimension;
  readonly logitScale = 1;
  pictures = 0;
  texts = 0;
  calls = 0;
  failAt = Infinity;
  get preprocessing(): never {
    throw new Error("not asked for");
  }
  // deno-lint-ignore require-await -- a failure is a rejection
  async embedImages(pictures: readonly Picture[]): Promise<Tensor<"float32">> {
    if (++this.calls === this.failAt) throw new WorkError("killed");
    this.pictures += pictures.length;
    const rows = pictures.flatMap(({ data }) => [data[0]! / 255, data[1]! / 255, data[2]! / 255, 1]);
    return tensor("float32", [pictures.length, 4], rows);
  }
  embedTexts(texts: readonly string[]): Promise<Tensor<"float32">> {
    this.texts += texts.length;
    return Promise.resolve(tensor("float32", [texts.length, 4], texts.flatMap((text) => [text.length, 0, 0, 1])));
  }
  async [Symbol.asyncDispose](): Promise<void> {}
}

async function png(red: number): Promise<Uint8Array> {
  return await sharp({ create: { width: 10, height: 10, channels: 3, background: { r: red, g: 20, b: 30 } } }).png()
    .toBuffer();
}

Deno.test("20,000 embeddings of 512 numbers open in under a second beside reading the file and are the same to the bit", () =>
  inFolder(async (folder) => {
    const path = join(folder, "large"), big = { ...owner, dimension: 512 };
    const random = Random.seeded("cache");
    const row = Float32Array.from({ length: 512 }, () => random.normal());
    const entry = (n: number) => [textKey(String(n)), row.map((value) => value + n)] as const;
    {
      using cache = await openEmbeddingCache(path, big);
      for (let from = 0; from < 20_000; from += 500) cache.add(Array.from({ length: 500 }, (_, i) => entry(from + i)));
    }
    // Beside what the disk needs: the machine may be busy with other tests.
    const reading = performance.now();
    await Deno.readFile(path);
    const began = performance.now();
    using cache = await openEmbeddingCache(path, big);
    const took = performance.now() - began - (began - reading);
    assert.ok(took < 1000, `${took} ms`);
    assert.deepEqual([cache.size, cache.dropped], [20_000, 0]);
    for (const n of [0, 9_999, 19_999]) assert.deepEqual(cache.get(entry(n)[0]), entry(n)[1]);
  }));

Deno.test("the checksum is MurmurHash3: its published values", () => {
  assert.equal(checksum(new Uint32Array(new TextEncoder().encode("test").buffer)), 0xba6bd213);
  assert.equal(checksum(new Uint32Array(0)), 0);
});

Deno.test("a cut tail is dropped, a damaged record skipped; what is added afterwards is whole", () =>
  inFolder(async (folder) => {
    const path = join(folder, "cache");
    const entries = [1, 2, 3].map((n) => [textKey(`${n}`), Float32Array.of(n, 0, 0, 1)] as const);
    {
      using cache = await openEmbeddingCache(path, owner);
      cache.add(entries);
    }
    const whole = await Deno.readFile(path);
    await Deno.writeFile(path, whole.subarray(0, whole.length - 7));
    {
      using cache = await openEmbeddingCache(path, owner);
      assert.deepEqual([cache.size, cache.dropped], [2, 1]);
      cache.add(entries);
    }
    assert.deepEqual(await Deno.readFile(path), whole);
    const record = 32 + 4 * 4 + 4;
    whole[whole.length - 2 * record + 40]! ^= 1; // in the second of three
    await Deno.writeFile(path, whole);
    using cache = await openEmbeddingCache(path, owner);
    assert.deepEqual([cache.size, cache.dropped], [2, 1]);
    assert.equal(cache.get(entries[1]![0]), undefined);
    assert.deepEqual(cache.get(entries[2]![0]), entries[2]![1]);
  }));

Deno.test("a cache of another model, another file and a second writer are refused in a line", () =>
  inFolder(async (folder) => {
    const path = join(folder, "cache");
    using _cache = await openEmbeddingCache(path, owner);
    await assert.rejects(openEmbeddingCache(path, owner), /cache: expected no other writer/);
    const copy = join(folder, "copy");
    await Deno.copyFile(path, copy);
    await assert.rejects(
      openEmbeddingCache(copy, { name: "other", identity: "d".repeat(64), dimension: 4 }),
      (error: unknown) =>
        error instanceof InputError &&
        /expected embeddings of other \(dddddddddddd, 4 numbers\), found those of counted \(cccccccccccc, 4/.test(
          error.message,
        ),
    );
    await Deno.writeTextFile(copy, "something else entirely");
    await assert.rejects(openEmbeddingCache(copy, owner), /copy: expected a cache of embeddings, found another file/);
  }));

Deno.test("an undecodable picture in a batch is skipped with its cause, the others are embedded; nothing twice", () =>
  inFolder(async (folder) => {
    const items = [];
    for (let n = 0; n < 7; n++) {
      const path = join(folder, `${n}.png`);
      await Deno.writeFile(path, n === 3 ? new TextEncoder().encode("no picture") : await png(10 * n));
      items.push({ id: `${n}.png`, source: path });
    }
    items.push({ id: "gone.png", source: join(folder, "gone.png") });
    const encoder = new CountingEncoder();
    using cache = await openEmbeddingCache(join(folder, "cache"), encoder);
    const first = await embedPictures(encoder, items, { cache, batch: 4 });
    assert.deepEqual(first.items.map(({ id }) => id), [0, 1, 2, 4, 5, 6].map((n) => `${n}.png`));
    assert.deepEqual(first.features.shape, [6, 4]);
    assert.deepEqual(
      Array.from(first.features.data).filter((_, i) => i % 4 === 0),
      [0, 10, 20, 40, 50, 60]
        .map((red) => Math.fround(red / 255)),
    );
    assert.deepEqual(first.skipped.map(({ path }) => path), ["3.png", "gone.png"]);
    assert.match(first.skipped[0]!.cause, /^expected a picture, found "no picture"/);
    assert.match(first.skipped[1]!.cause, /nothing there/);
    const second = await embedPictures(encoder, items, { cache, batch: 4 });
    assert.deepEqual([encoder.pictures, second.cached], [6, 6]);
    assert.deepEqual(second.features, first.features);
    assert.ok(cache.get(pictureKey(await png(20))));
    await assert.rejects(
      embedPictures(Object.assign(new CountingEncoder(), { identity: "e".repeat(64) }), items, { cache }),
      /expected embeddings of counted, found/,
    );
  }));

Deno.test("a run that was broken off goes on where it was", () =>
  inFolder(async (folder) => {
    const items = await Promise.all(
      Array.from({ length: 8 }, async (_, n) => ({ id: `${n}`, source: await png(n) })),
    );
    const encoder = new CountingEncoder();
    encoder.failAt = 3;
    const path = join(folder, "cache");
    {
      using cache = await openEmbeddingCache(path, encoder);
      await assert.rejects(embedPictures(encoder, items, { cache, batch: 2 }), /killed/);
    }
    using cache = await openEmbeddingCache(path, encoder);
    assert.equal(cache.size, 4);
    const stopped = new AbortController();
    await assert.rejects(
      embedPictures(encoder, items, {
        cache,
        batch: 2,
        signal: stopped.signal,
        onProgress: ({ done }) => done === 6 && stopped.abort(),
      }),
      { name: "AbortError" },
    );
    assert.equal(cache.size, 6);
    const { features, cached } = await embedPictures(encoder, items, { cache, batch: 2 });
    assert.deepEqual([features.shape[0], cached, encoder.pictures], [8, 6, 8]);
  }));

Deno.test("texts are embedded once, in the order asked for", () =>
  inFolder(async (folder) => {
    const encoder = new CountingEncoder();
    using cache = await openEmbeddingCache(join(folder, "cache"), encoder);
    const lengths = async (texts: string[]) =>
      Array.from((await embedTexts(encoder, texts, { cache, batch: 2 })).data).filter((_, i) => i % 4 === 0);
    assert.deepEqual(await lengths(["a", "bbb", "a", "cc"]), [1, 3, 1, 2]);
    assert.deepEqual(await lengths(["dddd", "cc"]), [4, 2]);
    assert.equal(encoder.texts, 4);
  }));
