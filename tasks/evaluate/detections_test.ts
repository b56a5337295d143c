/** Tests of `deno task evaluate --detections … --truth …`. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { readCases } from "../../tests/evaluate/coco_cases.ts";

async function evaluate(...args: string[]) {
  const task = join(import.meta.dirname!, "..", "evaluate.ts");
  const output = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", task, ...args],
    env: { NO_COLOR: "1" },
  }).output();
  const [stdout, stderr] = [output.stdout, output.stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code: output.code, stdout: stdout!, stderr: stderr! };
}

Deno.test("evaluate --detections --truth --json prints pycocotools' figures, and a table for people on stderr", async () => {
  const folder = await Deno.makeTempDir({ prefix: "pokedex_evaluate_" });
  try {
    const each = (await readCases()).find(({ figures }) => (figures?.apSmall ?? 0) > 0 && figures.apLarge === null)!;
    const dets = join(folder, "dets.json"), truth = join(folder, "gt.json");
    await Deno.writeTextFile(dets, JSON.stringify(each.detections));
    await Deno.writeTextFile(truth, JSON.stringify(each.truth));
    const { code, stdout, stderr } = await evaluate("--detections", dets, "--truth", truth, "--json");
    assert.equal(code, 0, stderr);
    const found = JSON.parse(stdout);
    for (
      const [ours, theirs] of [["map50", "ap50"], ["map50_95", "ap"], ["ar1", "ar1"], ["map_small", "apSmall"]] as const
    ) {
      assert.ok(Math.abs(found[ours] - each.figures[theirs]!) < 1e-9, `${ours}: ${found[ours]}`);
    }
    assert.ok(!("map_large" in found));
    assert.equal(found.perClass.length, each.classes.length);
    assert.deepEqual(Object.keys(found).slice(0, 5), ["n", "truths", "detections", "map50", "map50_95"]);
    assert.match(stderr, /^mAP 50 +\d+\.\d %$/m);
    assert.match(stderr, /^mAP 50-95, large boxes +– %$/m);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("evaluate refuses wrong arguments and files with status 2 and one line that names them", async () => {
  const folder = await Deno.makeTempDir({ prefix: "pokedex_evaluate_" });
  try {
    const truth = join(folder, "gt.json"), huge = join(folder, "huge.json");
    await Deno.writeTextFile(
      truth,
      `{"images": [{"id": 1}], "categories": [{"id": 1, "name": "a"}], "annotations": []}`,
    );
    await Deno.writeTextFile(huge, "");
    await Deno.truncate(huge, 200 * 2 ** 20); // 200 MB of zeros
    const cases: [string[], RegExp][] = [
      [[], /^error: deno task evaluate: expected --model, or --detections and --truth, found nothing; see --help\n$/],
      [["--truth", truth], /^error: deno task evaluate: expected --detections and --truth, found no --detections\n$/],
      [["--detections", huge, "--truth", truth], /^error: \S+huge\.json: expected an array, found "\\u0000.*\n$/],
      [
        ["--detections", "/nowhere", "--truth", truth],
        /^error: \/nowhere: expected a JSON file, found nothing there\n$/,
      ],
    ];
    const results = await Promise.all(cases.map(([args]) => evaluate(...args)));
    for (const [i, { code, stdout, stderr }] of results.entries()) {
      assert.match(stderr, cases[i]![1]);
      assert.deepEqual([code, stdout], [2, ""]);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
