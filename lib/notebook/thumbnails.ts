/** Small pictures as data URIs, for points of a chart. */

import sharp from "sharp";

/** Pictures made at a time. */
const AT_ONCE = 16;

/**
 * Files as data URIs of WebP pictures that fit into `side` x `side` pixels (default 64), about 1 kB each, transparency kept. A file that is no
 * picture is an empty one: a chart does not fail for it.
 */
export async function thumbnails(
  paths: readonly string[],
  { side = 64 }: { readonly side?: number } = {},
): Promise<string[]> {
  const made: string[] = [];
  for (let at = 0; at < paths.length; at += AT_ONCE) {
    made.push(...await Promise.all(paths.slice(at, at + AT_ONCE).map((path) => thumbnail(path, side))));
  }
  return made;
}

async function thumbnail(path: string, side: number): Promise<string> {
  try {
    const bytes = await sharp(path).resize(side, side, { fit: "inside", withoutEnlargement: true })
      .webp({ quality: 55, alphaQuality: 60 }).toBuffer();
    return `data:image/webp;base64,${new Uint8Array(bytes).toBase64()}`;
  } catch {
    return "data:,";
  }
}
