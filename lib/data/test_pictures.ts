/** Pictures for tests: drawn from a seed, so that none has to be committed. */

import { join } from "node:path";
import sharp, { type Sharp } from "sharp";
import { Random } from "../runtime/mod.ts";

export interface FigureOptions {
  /** Longest side in pixels. */
  readonly size?: number;
  /** Degrees by which all hues are turned, as a shiny form's are. */
  readonly hue?: number;
  readonly mirrored?: boolean;
  /** Empty border, as a share of the figure's size. */
  readonly padding?: number;
  /** CSS colour behind the figure; transparent by default. */
  readonly background?: string;
}

/** A figure made of a few outlined shapes; each seed gives another one. */
export function figureSvg(
  seed: number,
  { size = 96, hue = 0, mirrored = false, padding = 0, background }: FigureOptions = {},
): string {
  const random = Random.seeded("figure", seed);
  const shapes = Array.from({ length: 9 }, () => {
    const [x, y] = [random.uniform(20, 80), random.uniform(20, 80)];
    const [rx, ry] = [random.uniform(6, 26), random.uniform(6, 26)];
    const colour = `hsl(${(random.uniform(0, 360) + hue) % 360} 70% ${random.uniform(20, 85)}%)`;
    const turn = random.uniform(0, 180);
    const style = `fill="${colour}" stroke="#222" stroke-width="2" transform="rotate(${turn} ${x} ${y})"`;
    return random.chance(0.5)
      ? `<ellipse cx="${x}" cy="${y}" rx="${rx}" ry="${ry}" ${style}/>`
      : `<polygon points="${x - rx},${y + ry} ${x + rx},${y + ry / 2} ${x},${y - ry}" ${style}/>`;
  });
  const border = 100 * padding;
  const side = 100 + 2 * border;
  const behind = background
    ? `<rect x="${-border}" y="${-border}" width="${side}" height="${side}" fill="${background}"/>`
    : "";
  const flip = mirrored ? `transform="translate(100 0) scale(-1 1)"` : "";
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${size}" height="${size}" ` +
    `viewBox="${-border} ${-border} ${side} ${side}">${behind}<g ${flip}>${shapes.join("")}</g></svg>`;
}

export function figure(seed: number, options: FigureOptions = {}): Sharp {
  return sharp(new TextEncoder().encode(figureSvg(seed, options)));
}

/** A figure as 8-bit RGBA. */
export async function figurePixels(seed: number, options: FigureOptions = {}) {
  const { data, info } = await figure(seed, options).ensureAlpha().raw().toBuffer({ resolveWithObject: true });
  return { data: new Uint8Array(data), width: info.width, height: info.height };
}

/** Writes a raw folder `root/NNNN/*`: for every species some figures, each regular and shiny. Returns the file count. */
export async function writeRawFolder(root: string, species: readonly number[], figures: number): Promise<number> {
  let count = 0;
  for (const dex of species) {
    const folder = join(root, String(dex).padStart(4, "0"));
    await Deno.mkdir(folder, { recursive: true });
    for (let k = 0; k < figures; k++) {
      const seed = dex * 100 + k;
      await Deno.writeFile(join(folder, `art${k}.webp`), await figure(seed).webp({ lossless: true }).toBuffer());
      await Deno.writeFile(join(folder, `art${k}-shiny.png`), await figure(seed, { hue: 150 }).png().toBuffer());
      count += 2;
    }
  }
  return count;
}
