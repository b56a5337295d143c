/** A folder with all that a model needs to get onto a K210: the graph for the compiler, calibration, scripts, runners, steps. */

import { join } from "node:path";
import { classesText, type Dataset, type ModelPackage } from "../../experiment/mod.ts";
import { fromFile } from "../../onnx/mod.ts";
import { InputError, openSession, type Session, tensor } from "../../runtime/mod.ts";
import { expectFree, type TargetManifest, writeTarget } from "../targets/manifest.ts";
import { type CalibrationOptions, type CalibrationPicture, calibrationPictures } from "./calibrate.ts";
import { assertFitsK210, checkK210, K210, type K210Layer, type K210Loader, type K210Report } from "./check.ts";
import { estimateK210, type K210Estimate } from "./estimate.ts";
import { K210_VALUES, k210Model, type PreparedClassifier, prepareForK210 } from "./prepare.ts";
import { checkRegionHead } from "./region.ts";
import { k210Readme } from "./readme.ts";

/** `k210.json`: what the scripts and runners of the folder need to know. */
export interface K210Settings {
  readonly format: "pokedex-k210-1";
  readonly model: string;
  readonly input: {
    readonly name: string;
    readonly shape: readonly number[];
    readonly layout: "NCHW";
    readonly type: "uint8";
    readonly channels: "RGB";
    /** What the bytes 0 and 255 stand for, before (x − mean) / std. */
    readonly range: readonly [0, 1];
    readonly mean: readonly number[];
    readonly std: readonly number[];
    readonly background: readonly number[];
    readonly view: "picture" | "content";
  };
  readonly output: {
    readonly name: string;
    readonly kind: "classes";
    /** softmax(logits / temperature) means what it says. */
    readonly temperature: number;
  };
  readonly loader: K210Loader;
  readonly modelBytesMost: number;
  /** By the checker, before any compiler: a little less than the file. */
  readonly modelBytes: number;
  readonly mapBytes: number;
  readonly macs: number;
  readonly estimate: K210Estimate;
}

/** What `exportK210` needs beside the model. */
export interface ExportK210Options extends CalibrationOptions {
  /** The folder, which must not be there or be empty. */
  readonly out: string;
  /** Opens the data set whose train split gives the calibration pictures; asked for when the model was found to fit. */
  readonly dataset: () => Promise<Dataset>;
  /** Default: "maixpy", whose memory also CanMV has. */
  readonly loader?: K210Loader;
}

/** What was written. */
export interface ExportedK210 {
  readonly folder: string;
  readonly settings: K210Settings;
  readonly report: K210Report;
  readonly prepared: Omit<PreparedClassifier, "graph">;
  readonly manifest: TargetManifest;
}

/**
 * Checks whether a model fits on the chip: throws InputError that names each layer, what is wrong with it and what to change, also for
 * detectors, whose head the region layer would have to decode.
 */
export async function checkModelForK210(
  { folder, card }: ModelPackage,
  { loader = "maixpy" }: { readonly loader?: K210Loader } = {},
): Promise<{ readonly prepared: PreparedClassifier; readonly report: K210Report }> {
  const source = await fromFile(join(folder, card.file.name)), { heads, classProbabilities } = card.decode;
  if (heads.length > 0) {
    const spec = { classes: card.classes.count, size: card.input.size, heads };
    const head = checkRegionHead(spec, { classProbabilities }), chip = checkK210(source, { loader });
    const problems = [...head.problems, ...chip.problems.filter(({ layer, what }) => !isDecoding(layer, what))];
    assertFitsK210(card.name, { ...chip, problems, fits: false });
    throw new InputError(
      `${card.name}: expected a classifier, found a detector whose head the region layer decodes: cut it with ` +
        "prepareRegionForK210 and compile it by itself",
    );
  }
  const prepared = await prepareForK210(source), report = checkK210(prepared.graph, { loader });
  assertFitsK210(card.name, report);
  return { prepared, report };
}

/** Operators that decode boxes stand behind the heads, where the board's own layer takes their place. */
const isDecoding = (_layer: string, what: string) => what.startsWith("expected an operator that nncase compiles");

/**
 * Writes the folder for a classifier: the check comes first, and nothing is written where it fails. The folder appears whole or not at
 * all, and the same model, data and seed give the same bytes. Throws InputError as `checkModelForK210` and `calibrationPictures`, and
 * where something stands at `out`.
 */
export async function exportK210(model: ModelPackage, options: ExportK210Options): Promise<ExportedK210> {
  const { out, dataset, loader = "maixpy" } = options, { card, classes } = model;
  const { prepared: { graph, ...prepared }, report } = await checkModelForK210(model, { loader });
  await expectFree(out);
  const pictures = await calibrationPictures(await dataset(), card, options);
  const onnx = k210Model(graph), { size, mean, std, background, view } = card.input;
  const settings: K210Settings = {
    format: "pokedex-k210-1",
    model: card.name,
    input: {
      ...{ name: K210_VALUES.images, shape: [1, 3, size, size], layout: "NCHW", type: "uint8", channels: "RGB" },
      ...{ range: [0, 1], mean, std, background, view },
    },
    output: { name: K210_VALUES.logits, kind: "classes", temperature: card.temperature },
    ...{ loader, modelBytesMost: K210.modelBytes[loader] },
    ...{ modelBytes: report.modelBytes, mapBytes: report.mapBytes, macs: report.macs, estimate: estimateK210(report) },
  };
  await using session = await openSession(onnx, { threads: 1, name: "k210 calibration" });
  const listed: { file: string; id: string; dex: number; label: number; float: number }[] = [];
  for (const [i, picture] of pictures.entries()) {
    const file = `calibration/${String(i).padStart(4, "0")}.bin`, { id, dex, label } = picture;
    listed.push({ file, id, dex, label, float: await top1(session, picture, settings) });
  }
  const assets = await Promise.all(
    ["compile.py", "simulate.py", "main.py", "main.c"].map(async (path) => ({ path, content: await asset(path) })),
  );
  const files = [
    { path: "model.onnx", content: onnx },
    { path: "classes.txt", content: classesText(classes) },
    { path: "k210.json", content: json(settings) },
    { path: "layers.csv", content: layersText(report.layers) },
    { path: "calibration.json", content: json(listed) },
    ...pictures.map(({ bytes }, i) => ({ path: listed[i]!.file, content: bytes })),
    ...assets,
    {
      path: "config.h",
      content: `#define CLASSES ${classes.length}\n#define TEMPERATURE ${floatText(card.temperature)}\n`,
    },
    { path: "README.md", content: k210Readme({ settings, report, prepared, pictures: pictures.length, card }) },
  ];
  const manifest = await writeTarget(out, {
    ...{ target: "k210", model: card.name, version: 1, created: card.trainedOn.date, rollout: 1, files },
    ...{ source: { sha256: card.file.sha256 }, runner: { minimum: 0 } },
  });
  return { folder: out, settings, report, prepared, manifest };
}

/** The table of layers: unit, shapes, and what each takes. */
export function layersText(layers: readonly K210Layer[]): string {
  const rows = layers.map(({ name, operator, unit, input, output, mapBytes, weightBytes, macs }) =>
    [name, operator, unit, input.join("x"), output.join("x"), mapBytes, weightBytes, macs].join(",")
  );
  return ["layer,operator,unit,input,output,map_bytes,weight_bytes,macs", ...rows, ""].join("\n");
}

/** The class that the float model gives a picture. */
async function top1(session: Session, { bytes }: CalibrationPicture, { input }: K210Settings): Promise<number> {
  const { shape, mean, std } = input, places = shape[2]! * shape[3]!;
  const planes = Float32Array.from(bytes, (byte, i) => {
    const channel = Math.floor(i / places);
    return (byte / 255 - mean[channel]!) / std[channel]!;
  });
  const logits = (await session.run({ [input.name]: tensor("float32", shape, planes) }))[K210_VALUES.logits]!;
  const data = logits.data as Float32Array;
  return data.indexOf(data.reduce((most, value) => Math.max(most, value)));
}

const json = (value: unknown) => JSON.stringify(value, null, 2) + "\n";
const floatText = (value: number) => `${Number.isInteger(value) ? value.toFixed(1) : value}f`;
const asset = (name: string) => Deno.readTextFile(new URL(`assets/${name}`, import.meta.url));
