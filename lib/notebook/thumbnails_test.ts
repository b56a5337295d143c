import assert from "node:assert/strict";
import { join } from "node:path";
import sharp from "sharp";
import { thumbnails } from "./thumbnails.ts";

Deno.test("thumbnails fit into their square, keep transparency, and stand in the order of the files", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const [wide, small, text] = ["wide.png", "small.webp", "note.png"].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    await sharp({ create: { width: 200, height: 50, channels: 4, background: "#f000" } }).png().toFile(wide);
    await sharp({ create: { width: 10, height: 20, channels: 3, background: "blue" } }).webp().toFile(small);
    await Deno.writeTextFile(text, "no picture");
    const found = await thumbnails([wide, text, small, join(folder, "missing.png")], { side: 40 });
    assert.deepEqual([found[1], found[3]], ["data:,", "data:,"]);
    const sizes = await Promise.all([found[0]!, found[2]!].map(async (uri) => {
      const bytes = Uint8Array.fromBase64(uri.replace("data:image/webp;base64,", ""));
      const { width, height, hasAlpha } = await sharp(bytes).metadata();
      return [width, height, hasAlpha];
    }));
    assert.deepEqual(sizes, [[40, 10, true], [10, 20, false]]); // none is enlarged
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
