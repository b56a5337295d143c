/** The script of lib/train/README.md, run as it stands there on pictures made here; its file in plain onnxruntime-node. */

import assert from "node:assert/strict";
import * as ort from "onnxruntime-node";
import sharp from "sharp";
import { Random } from "../../lib/runtime/mod.ts";

const root = new URL("../../", import.meta.url);

Deno.test("the README's script has at most 40 lines and trains a classifier that plain onnxruntime-node runs", async () => {
  const readme = await Deno.readTextFile(new URL("lib/train/README.md", root));
  const script = /```ts\n(.*?)```/s.exec(readme)![1]!;
  const lines = script.trim().split("\n");
  assert.ok(lines.length <= 40, `${lines.length} lines`);
  const imports = [...script.matchAll(/from "(.*?)"/g)].map((match) => match[1]);
  assert.deepEqual(imports, ["node:buffer", "sharp", "./lib/onnx/mod.ts", "./lib/train/mod.ts"]);
  const folder = await Deno.makeTempDir();
  try {
    const random = Random.seeded("readme");
    for (const [label, name] of SHAPES.entries()) {
      await Deno.mkdir(`${folder}/pictures/${name}`, { recursive: true });
      for (let i = 0; i < 24; i++) {
        const format = (["png", "jpg", "webp"] as const)[i % 3]!;
        await draw(label, random).toFile(`${folder}/pictures/${name}/${i}.${format}`);
      }
    }
    const path = `${folder}/train_folder.ts`, model = `${folder}/classifier.onnx`;
    await Deno.writeTextFile(path, script.replaceAll('"./lib/', `"${root.href}lib/`));
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        "--no-check",
        "--config",
        new URL("deno.json", root).pathname,
        path,
        `${folder}/pictures`,
        model,
      ],
    }).output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
    assert.match(new TextDecoder().decode(stdout), /^step 0: loss 1\.099\n/); // log 3: the head starts at 0
    const session = await ort.InferenceSession.create(model);
    const wanted: number[] = [], pixels: number[] = [];
    for (let i = 0; i < 60; i++) {
      wanted.push(i % 3);
      pixels.push(...await draw(i % 3, random).resize(32, 32).removeAlpha().raw().toBuffer());
    }
    const image = new ort.Tensor("uint8", Uint8Array.from(pixels), [60, 32, 32, 3]);
    const logits = (await session.run({ image })).logits!.data as Float32Array;
    await session.release();
    const right = wanted.filter((label, i) => {
      const row = [...logits.subarray(3 * i, 3 * i + 3)];
      return row.indexOf(Math.max(...row)) === label;
    }).length;
    assert.ok(right >= 54, `${right} of 60 pictures that it has not seen are right`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

const SHAPES = ["circle", "cross", "square"];

/** A shape in a random colour, size and place on a random dark background. */
function draw(label: number, random: Random): ReturnType<typeof sharp> {
  const r = random.uniform(8, 16), x = random.uniform(20, 28), y = random.uniform(20, 28);
  const fill = `hsl(${random.int(360)}, 90%, 70%)`, background = `hsl(${random.int(360)}, 50%, 20%)`;
  const shape = [
    `<circle cx="${x}" cy="${y}" r="${r}" fill="${fill}"/>`,
    `<path d="M${x - r} ${y - r}l${2 * r} ${2 * r}m0 ${-2 * r}l${-2 * r} ${2 * r}" stroke="${fill}" stroke-width="5"/>`,
    `<rect x="${x - r}" y="${y - r}" width="${2 * r}" height="${2 * r}" fill="${fill}"/>`,
  ][label]!;
  const svg =
    `<svg xmlns="http://www.w3.org/2000/svg" width="48" height="48"><rect width="48" height="48" fill="${background}"/>${shape}</svg>`;
  return sharp(new TextEncoder().encode(svg));
}
