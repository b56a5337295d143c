/** Networks of every family without some of their channels compute what they compute with these channels silenced. */

import assert from "node:assert/strict";
import { assertValid, copyGraph } from "../../onnx/mod.ts";
import { Random } from "../../runtime/mod.ts";
import { findChannels } from "./channels.ts";
import { drawnImages, drawnNetwork, FAMILIES, largestDifference, outputsOf } from "./fixture.ts";
import { withoutChannels, withZeroChannels } from "./surgery.ts";

const SEEDS = { whole: [1, 2], folded: [3] };

for (const family of Object.keys(FAMILIES)) {
  for (const folded of [false, true]) {
    Deno.test(`${family}${folded ? ", folded" : ""}: pruned is masked to 1e-5, for drawn sets of channels`, async () => {
      for (const seed of folded ? SEEDS.folded : SEEDS.whole) {
        const graph = drawnNetwork(family, seed, { folded }), channels = findChannels(graph);
        const random = Random.seeded("removed", family, seed), removed = new Set<number>();
        for (const { channels: own } of channels.groups) {
          const stays = own[random.int(own.length)]; // one of each group at least
          for (const channel of own) if (channel !== stays && random.uniform() < 0.4) removed.add(channel);
        }
        const pruned = withoutChannels(channels, removed), masked = withZeroChannels(channels, removed);
        assertValid(pruned);
        const images = drawnImages(graph, seed);
        const found = await outputsOf(pruned, images), expected = await outputsOf(masked, images);
        const difference = largestDifference(expected, found);
        assert.ok(difference <= 1e-5, `${difference}`);
        const whole = await outputsOf(copyGraph(graph), images);
        assert.ok(
          largestDifference(whole, found) > 1e-3,
          "without these channels the network should say something else",
        );
        assert.deepEqual(pruned.outputs.map(String), graph.outputs.map(String));
      }
    });
  }
}
