/** mAP and recall beside pycocotools', COCO's own program: on random data sets made anew each time, and on a large one. */

import { join } from "node:path";
import { cocoTable, evaluateTable, readCocoResults, readCocoTruth } from "../../lib/evaluate/mod.ts";
import { Random, WorkError } from "../../lib/runtime/mod.ts";
import { type CocoJudgement, distance, judgeCase, readCases } from "../../tests/evaluate/coco_cases.ts";
import { type BenchRow, benchRow } from "../bench/row.ts";
import { command, peerPython } from "./python.ts";

const PACKAGES = ["numpy==2.4.6", "pycocotools==2.0.11"];

/** What a figure may differ by. */
const TOLERANCE = 1e-6;

/**
 * Random data sets from a seed that the clock gives, and one of 1,000 pictures of 1,025 classes. Throws WorkError when any
 * figure differs by more than 1e-6, PeerMissing when there is no pycocotools to be had.
 */
export async function compareCoco({ cases = 500, seed = Date.now() % 1e9 } = {}): Promise<BenchRow[]> {
  const python = await peerPython(PACKAGES);
  const folder = await Deno.makeTempDir({ prefix: "pokedex-peers-" });
  try {
    const script = new URL("../../tests/peers/coco.py", import.meta.url).pathname;
    const file = join(folder, "cases.json");
    await command(python, [script, "cases", file, String(seed), String(cases)], "expected pycocotools to run");
    let worst = 0;
    for (const each of await readCases(file)) {
      const difference = distance(judgeCase(each), each);
      if (!(difference < TOLERANCE)) {
        throw new WorkError(
          `data set of seed ${each.seed}: expected figures within ${TOLERANCE} of pycocotools', found a difference of ${difference}`,
        );
      }
      worst = Math.max(worst, difference);
    }
    console.error(`${cases} data sets from seed ${seed}: largest difference ${worst.toExponential(1)}`);
    return await large(python, script, folder, seed);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function large(python: string, script: string, folder: string, seed: number): Promise<BenchRow[]> {
  const images = 1000, classes = 1025, random = Random.seeded("coco", seed);
  const boxes = Array.from({ length: images }, (_, id) => {
    const category = random.int(classes);
    const truth = { "id": id + 1, "image_id": id, "category_id": category, "bbox": [0, 0, 416, 416], area: 416 ** 2 };
    const left = random.uniform(0, 150), top = random.uniform(0, 150);
    return {
      truth: { ...truth, iscrowd: 0 },
      detection: {
        "image_id": id,
        "category_id": random.chance(0.8) ? category : random.int(classes),
        bbox: [left, top, 416 - left, 416 - top],
        score: random.uniform(),
      },
    };
  });
  const truthFile = join(folder, "truth.json"), resultsFile = join(folder, "detections.json");
  const truth = {
    images: boxes.map((_, id) => ({ id })),
    categories: Array.from({ length: classes }, (_, id) => ({ id, name: `class ${id}` })),
    annotations: boxes.map((each) => each.truth),
  };
  await Deno.writeTextFile(truthFile, JSON.stringify(truth));
  await Deno.writeTextFile(resultsFile, JSON.stringify(boxes.map((each) => each.detection)));
  const output = await command(python, [script, "evaluate", truthFile, resultsFile], "expected pycocotools to run");
  const theirs = JSON.parse(output) as CocoJudgement & { readonly seconds: number };
  const begin = performance.now();
  const ours = evaluateTable(cocoTable(await readCocoTruth(truthFile), await readCocoResults(resultsFile)).table);
  const seconds = (performance.now() - begin) / 1000;
  const difference = distance(ours, theirs);
  if (!(difference < TOLERANCE)) {
    throw new WorkError(
      `${images} pictures: expected figures within ${TOLERANCE} of pycocotools', found a difference of ${difference}`,
    );
  }
  const name = `${images} pictures, ${classes} classes`;
  return [
    benchRow("coco", `mAP50 of ${name}`, "share", ours.mAP50!, { pycocotools: theirs.figures.ap50! }),
    benchRow("coco", `mAP50-95 of ${name}`, "share", ours.mAP50to95!, { pycocotools: theirs.figures.ap! }),
    benchRow("coco", `judging ${name}`, "img/s", images / seconds, { pycocotools: images / theirs.seconds }),
  ];
}
