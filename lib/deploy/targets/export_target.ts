/** A trained model as a folder that can be copied to a device. */

import { join } from "node:path";
import { classesText, type ModelCard, type OpenedModel } from "../../experiment/mod.ts";
import { compactWeights, fromModel, toModel } from "../../onnx/mod.ts";
import { InputError, reason, sha256 } from "../../runtime/mod.ts";
import { readSigningKey } from "../updates/keys.ts";
import { expectFree, type Target, type TargetManifest, writeTarget } from "./manifest.ts";
import { isQuantized, probabilitiesModel } from "./model_file.ts";
import { preprocessingOf, preprocessingText } from "./preprocessing.ts";
import { rpiContent } from "./rpi.ts";
import { selfTestFiles } from "./known_answers.ts";
import type { TargetContent, TargetInput } from "./target.ts";
import { tensorrtContent } from "./tensorrt.ts";
import { tritonContent } from "./triton.ts";
import { WEB_BUDGET, webContent } from "./web.ts";

/** Settings of `exportTarget`. */
export interface ExportTargetOptions {
  /** The release's number: devices take no smaller one than they had. Default: 1. */
  readonly version?: number | undefined;
  /** The share of devices that may take it, 0 … 1. Default: 1. */
  readonly rollout?: number | undefined;
  /** File of the private key that signs the manifest. Default: unsigned. */
  readonly sign?: string | undefined;
  /** Where devices look for updates: the URL of the folder with manifest.json. */
  readonly updateUrl?: string | undefined;
  /** An ONNX file to take in place of the model's own: the same network, quantized. */
  readonly quantized?: string | undefined;
  /** How the weights lie in the file. Default: as they do; for tensorrt float32. */
  readonly weights?: ModelCard["weights"] | undefined;
  /** Pictures in a run of a TensorRT engine. Default: 1. */
  readonly batch?: number | undefined;
  /** Bytes that a browser's model may have. Default: 4 MB. */
  readonly budget?: number | undefined;
}

const CONTENTS: Readonly<Record<Target, (input: TargetInput) => Promise<TargetContent>>> = {
  rpi: rpiContent,
  tensorrt: tensorrtContent,
  triton: tritonContent,
  web: webContent,
};

/**
 * Writes an opened model as a package for a target: the model, classes.txt, preprocessing.json, a self-test, a runner, README.md,
 * manifest.json (signed with `sign`) and SHA256SUMS. The same model and options give the same bytes. Throws InputError, in one
 * line, for a model that the target cannot hold or run, a wrong key, or a folder that is not empty; then nothing is written.
 */
export async function exportTarget(
  opened: OpenedModel,
  target: Target,
  folder: string,
  {
    version = 1,
    rollout = 1,
    sign,
    updateUrl,
    quantized,
    weights,
    batch = 1,
    budget = WEB_BUDGET,
  }: ExportTargetOptions = {},
): Promise<TargetManifest> {
  await expectFree(folder);
  checkNumbers({ version, rollout, batch, updateUrl });
  const key = sign === undefined ? undefined : await readSigningKey(sign);
  const { card, classes } = opened, path = quantized ?? join(opened.folder, card.file.name);
  const bytes = await readBytes(path);
  const { name, size } = card.input;
  const whole = probabilitiesModel({ bytes, path, input: name, size, classes: classes.length });
  if (quantized !== undefined && !isQuantized(fromModel(whole, { name: path }))) {
    throw new InputError(`${path}: expected a quantized model, found one without QuantizeLinear`);
  }
  const stored = quantized === undefined ? card.weights : undefined;
  const model = target === "tensorrt" ? whole : withWeights(whole, path, weights, stored);
  const selfTest = await selfTestFiles(opened, model), names = classesText(classes);
  const common = { model, path, card, names, selfTest, version, batch, weights, budget, updateUrl };
  const content = await CONTENTS[target]({ ...common, publicKey: key?.publicKey });
  const preprocessing = preprocessingOf(card), isSame = stored !== undefined && (weights ?? stored) === stored;
  return await writeTarget(folder, {
    target,
    model: card.name,
    version,
    created: card.trainedOn.date,
    source: { sha256: sha256(bytes) },
    runner: { minimum: content.minimumRunner },
    rollout,
    key,
    files: [
      ...content.files,
      ...selfTest,
      { path: "classes.txt", content: names, update: true },
      { path: "preprocessing.json", content: JSON.stringify(preprocessing, null, 2) + "\n", update: true },
      {
        path: "README.md",
        content: `${content.readme}\n${preprocessingText(preprocessing)}${aboutText(card, isSame)}`,
      },
    ],
  });
}

function checkNumbers(
  { version, rollout, batch, updateUrl }: {
    readonly version: number;
    readonly rollout: number;
    readonly batch: number;
    readonly updateUrl: string | undefined;
  },
): void {
  if (!Number.isSafeInteger(version) || version < 1) {
    throw new InputError(`--version: expected a whole number ≥ 1, found ${version}`);
  }
  if (!(rollout >= 0 && rollout <= 1)) throw new InputError(`--rollout: expected a share in 0 … 1, found ${rollout}`);
  if (!Number.isSafeInteger(batch) || batch < 1 || batch > 256) {
    throw new InputError(`--batch: expected a whole number in 1 … 256, found ${batch}`);
  }
  if (updateUrl !== undefined && !/^https?:$/.test(URL.parse(updateUrl)?.protocol ?? "")) {
    throw new InputError(`--update-url: expected a URL that begins with http or https, found "${updateUrl}"`);
  }
}

async function readBytes(path: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return await Deno.readFile(path);
  } catch (error) {
    throw new InputError(`${path}: expected an ONNX file, found ${reason(error)}`, { cause: error });
  }
}

/** The model with its weights kept otherwise. Throws InputError where they were rounded before, or the model is quantized. */
function withWeights(
  bytes: Uint8Array<ArrayBuffer>,
  path: string,
  weights: ModelCard["weights"] | undefined,
  stored: ModelCard["weights"] | undefined,
): Uint8Array<ArrayBuffer> {
  if (weights === undefined || weights === stored) return bytes;
  if (stored !== "float32" || weights === "float32" || weights === "int8-static") {
    const found = stored ?? "a quantized model";
    throw new InputError(`${path}: expected float32 weights to be kept as ${weights}, found ${found}`);
  }
  const graph = fromModel(bytes, { name: path });
  compactWeights(graph, weights);
  return toModel(graph);
}

/** What one must know of the model itself; its figures only where the package's weights are those that were measured. */
function aboutText(card: ModelCard, isSame: boolean): string {
  const { about, provenance, knownFailures = [], metrics: { test } } = card;
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  const lines = [
    about,
    ...(test && isSame
      ? [
        `Top-1 ${percent(test.top1)} [${
          test.top1_ci95.map(percent).join(", ")
        }] on ${test.n} test pictures, as its card says.`,
      ]
      : []),
    ...knownFailures.slice(-1),
    ...(provenance ? [provenance.pictures, provenance.licence] : []),
  ];
  return `\n## The model\n\n${lines.map((line) => `- ${line}\n`).join("")}`;
}
