#!/usr/bin/env node
/**
 * Names the species in pictures: node runner.mjs [--model DIR] [--threads N] [--top N] FILE|FOLDER… ; with "-" as the only
 * operand it reads JSON lines {"image": "path"} from stdin. One JSON line a picture on stdout. --self-test checks known answers.
 */

import { realpathSync } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { dirname, extname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { PictureError, readPicture } from "./picture.mjs";
import { likeliest, tempered } from "./preprocess.mjs";
import { runTrial } from "./updater.mjs";

const home = dirname(fileURLToPath(import.meta.url));
const PICTURES = new Set([".jpg", ".jpeg", ".png", ".webp", ".gif", ".avif", ".tif", ".tiff", ".svg"]);

/** How far a probability of the self-test may be from the expected one. */
const TOLERANCE = 1e-3;

/** Opens the model in a folder. `classify(path, top)` gives `[{ class, dex, name, score }]`. */
export async function openModel(folder, { threads = Math.min(4, availableParallelism()) } = {}) {
  const { InferenceSession, Tensor } = await import("onnxruntime-node");
  const settings = JSON.parse(await readFile(join(folder, "preprocessing.json"), "utf8"));
  const names = (await readFile(join(folder, "classes.txt"), "utf8")).split("\n").filter((name) => name !== "");
  const { input, output } = settings, shape = [1, 3, input.size, input.size];
  const session = await InferenceSession.create(join(folder, "model.onnx"), {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: "sequential",
    // Waiting threads sleep: on a small board they would heat it, and slow it, between pictures.
    extra: { session: { intra_op: { allow_spinning: "0" } } },
  });
  return {
    /** The probabilities of all classes, at the model's temperature. */
    async probabilities(path) {
      const planes = await readPicture(path, input);
      const found = await session.run({ [input.name]: new Tensor("float32", planes, shape) }, [output.name]);
      const { data } = found[output.name];
      if (data.length !== names.length || !data.every((p) => p >= 0 && p <= 1.001)) {
        throw new Error(
          `model.onnx: expected ${names.length} probabilities, found ${data.length}: ${data.slice(0, 3)}`,
        );
      }
      return tempered(data, output.temperature);
    },
    async classify(path, top = 5) {
      const best = likeliest(await this.probabilities(path), names, top);
      return best.map((guess) => ({ dex: output.dex[guess.class], ...guess }));
    },
  };
}

/** Classifies the pictures of selftest.json. Throws at the first whose answer is not the expected one. */
export async function selfTest(folder, options) {
  const { pictures } = JSON.parse(await readFile(join(folder, "selftest.json"), "utf8"));
  const model = await openModel(folder, options);
  for (const { file, class: expected, score } of pictures) {
    const [best] = await model.classify(join(folder, file), 1);
    if (best.class !== expected || Math.abs(best.score - score) > TOLERANCE) {
      throw new Error(
        `${file}: expected class ${expected} with ${score.toFixed(4)}, found ${best.class} with ${
          best.score.toFixed(4)
        }`,
      );
    }
  }
  return pictures.length;
}

/** The picture files that the operands name; a folder's own pictures, by name. */
async function* pictureFiles(operands) {
  if (operands.length === 1 && operands[0] === "-") {
    for await (const line of createInterface({ input: process.stdin })) {
      if (line.trim() === "") continue;
      let image;
      try {
        image = JSON.parse(line).image;
      } catch {
        // told below
      }
      if (typeof image === "string") yield image;
      else yield new PictureError(`stdin: expected {"image": "path"}, found ${line.slice(0, 60)}`);
    }
    return;
  }
  for (const operand of operands) {
    const about = await stat(operand).catch(() => undefined);
    if (!about?.isDirectory()) yield operand;
    else {
      for (const name of (await readdir(operand)).sort()) {
        if (PICTURES.has(extname(name).toLowerCase())) yield join(operand, name);
      }
    }
  }
}

/** Prints a line a picture; returns whether all could be read. `onFirst` is told of the first answer. */
async function classifyAll(model, queue, top, onFirst) {
  let whole = true, first = true;
  for (;;) {
    queue.next ??= await queue.images.next(); // kept until it is answered: another version may have to answer it
    if (queue.next.done) return whole;
    const image = queue.next.value;
    try {
      if (image instanceof Error) throw image;
      const guesses = await model.classify(image, top);
      if (first) await onFirst();
      first = false;
      console.log(JSON.stringify({ image, top: guesses }));
    } catch (error) {
      if (!(error instanceof PictureError)) throw error;
      whole = false;
      console.log(JSON.stringify({ ...(image instanceof Error ? {} : { image }), error: error.message }));
    }
    queue.next = undefined;
  }
}

function wholeNumber(name, text, least) {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least) {
    throw new Error(`--${name}: expected a whole number ≥ ${least}, found ${text}`);
  }
  return value;
}

async function main() {
  const { values, positionals } = parseArgs({
    options: {
      model: { type: "string" },
      threads: { type: "string" },
      top: { type: "string", default: "5" },
      "self-test": { type: "boolean", default: false },
    },
    allowPositionals: true,
  });
  const top = wholeNumber("top", values.top, 1);
  const options = values.threads === undefined ? {} : { threads: wholeNumber("threads", values.threads, 1) };
  if (values["self-test"]) {
    console.log(`self-test: ${await selfTest(values.model ?? home, options)} pictures as expected`);
    return 0;
  }
  if (positionals.length === 0) throw new Error('expected FILE|FOLDER… or "-", found none');
  const queue = { images: pictureFiles(positionals), next: undefined };
  const work = async (folder, onFirst) =>
    await classifyAll(await openModel(folder, options), queue, top, onFirst) ? 0 : 2;
  // Under updates the first answer of a new version confirms it, and its failure takes the last good one back.
  return values.model === undefined ? await runTrial(home, work) : await work(values.model, () => {});
}

if (process.argv[1] && fileURLToPath(import.meta.url) === realpathSync(process.argv[1])) {
  try {
    process.exitCode = await main();
  } catch (error) {
    console.error(`error: ${String(error.message ?? error).split("\n")[0]}`);
    process.exitCode = 1;
  }
}
