/** Drawn pictures with the model's own answers: by them a package tells on the device whether it works as it did here. */

import { join } from "node:path";
import sharp from "sharp";
import { type OpenedModel, predictPictures } from "../../experiment/mod.ts";
import { openSession, Random } from "../../runtime/mod.ts";
import type { TargetFile } from "./manifest.ts";

/** How many pictures a package has, and how many are drawn to choose from. */
const KEPT = 3, DRAWN = 24;

/** An answer of `selftest.json`. */
export interface KnownAnswer {
  readonly file: string;
  readonly class: number;
  /** Its probability, at the model's temperature. */
  readonly score: number;
}

/**
 * Draws pictures, asks the model, and keeps those of which it is surest before the next class: rounding on another processor must
 * not turn an answer. `model` is the file that the package holds, or the same with a batch that may vary.
 */
export async function selfTestFiles(opened: OpenedModel, model: Uint8Array): Promise<TargetFile[]> {
  const folder = await Deno.makeTempDir({ prefix: "pokedex_selftest_" });
  try {
    await using session = await openSession(model, { name: "model", threads: 1 });
    const drawings = await Promise.all(Array.from({ length: DRAWN }, async (_, n) => {
      const path = join(folder, `${n}.png`), content = await draw(n);
      await Deno.writeFile(path, content);
      return { path, content };
    }));
    const predictions = await predictPictures({ ...opened, session }, drawings.map(({ path }) => path), { top: 2 });
    const sure = predictions.map(({ top: [best, next] }, n) => ({
      n,
      best: best!,
      by: best!.score - (next?.score ?? 0),
    }))
      .sort((a, b) => b.by - a.by || a.n - b.n).slice(0, KEPT);
    const answers = sure.map(({ best }, i): KnownAnswer => ({
      file: `selftest-${i + 1}.png`,
      class: opened.classes.findIndex(({ dex }) => dex === best.dex),
      score: best.score,
    }));
    return [
      ...sure.map(({ n }, i) => ({ path: answers[i]!.file, content: drawings[n]!.content, update: true })),
      { path: "selftest.json", content: JSON.stringify({ pictures: answers }, null, 2) + "\n", update: true },
    ];
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A few shapes in the colours of one hue, on nothing or on a ground; small, wide, and larger than the network's input. */
async function draw(n: number): Promise<Uint8Array> {
  const random = Random.seeded("self-test", n), hue = random.int(360);
  const [width, height] = [[64, 64], [220, 140], [320, 400]][n % 3] as [number, number];
  const shapes = Array.from({ length: 6 }, () => {
    const x = random.uniform(0.2, 0.8) * width, y = random.uniform(0.2, 0.8) * height;
    const radius = random.uniform(0.08, 0.25) * Math.min(width, height);
    const fill = `hsl(${(hue + random.int(50)) % 360} ${40 + random.int(60)}% ${20 + random.int(60)}%)`;
    return random.chance(0.5)
      ? `<circle cx="${x}" cy="${y}" r="${radius}" fill="${fill}"/>`
      : `<rect x="${x - radius}" y="${y - radius}" width="${2 * radius}" height="${1.4 * radius}" fill="${fill}"/>`;
  });
  const ground = n % 2 === 0 ? "" : `<rect width="100%" height="100%" fill="hsl(${random.int(360)} 30% 70%)"/>`;
  const svg = `<svg width="${width}" height="${height}">${ground}${shapes.join("")}</svg>`;
  return new Uint8Array(await sharp(new TextEncoder().encode(svg)).png().toBuffer());
}
