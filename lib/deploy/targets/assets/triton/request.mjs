#!/usr/bin/env node
/** Asks a Triton server which species a picture shows: node request.mjs FILE [--url http://localhost:8000] [--top 5]. */

import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { readPicture } from "./picture.mjs";
import { likeliest, tempered } from "./preprocess.mjs";

const home = dirname(fileURLToPath(import.meta.url));

async function main() {
  const { values: { url, top }, positionals: [file] } = parseArgs({
    options: { url: { type: "string", default: "http://localhost:8000" }, top: { type: "string", default: "5" } },
    allowPositionals: true,
  });
  if (!file) throw new Error("expected FILE, found none");
  const { input, output } = JSON.parse(await readFile(join(home, "preprocessing.json"), "utf8"));
  const names = (await readFile(join(home, "classes.txt"), "utf8")).split("\n").filter((name) => name !== "");
  const { model } = JSON.parse(await readFile(join(home, "manifest.json"), "utf8"));
  const data = Array.from(await readPicture(file, input));
  const shape = [1, 3, input.size, input.size];
  const response = await fetch(`${url}/v2/models/${encodeURIComponent(model)}/infer`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      inputs: [{ name: input.name, shape, datatype: "FP32", data }],
      outputs: [{ name: output.name }],
    }),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(`${url}: expected an answer, found status ${response.status}: ${answer.error}`);
  const guesses = likeliest(tempered(answer.outputs[0].data, output.temperature), names, Number(top));
  console.log(
    JSON.stringify({ image: file, top: guesses.map((guess) => ({ dex: output.dex[guess.class], ...guess })) }),
  );
}

try {
  await main();
} catch (error) {
  console.error(`error: ${String(error.message).split("\n")[0]}`);
  process.exitCode = 1;
}
