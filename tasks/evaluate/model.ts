/** `deno task evaluate --model …`: a trained model judged on a split of its data set or on a folder of pictures. */

import { basename, join } from "node:path";
import { type Split, splits } from "../../lib/data/mod.ts";
import {
  evaluateModel,
  folderPictures,
  type ModelReport,
  openDataset,
  type OpenedModel,
  openModel,
  type PartAccuracy,
  type RobustnessReport,
  splitPictures,
  writeDetails,
} from "../../lib/experiment/mod.ts";
import { plainTable, progress } from "../../lib/notebook/mod.ts";
import { type Device, DEVICES, InputError, integerFlag, runCommand } from "../../lib/runtime/mod.ts";
import { clipOf, evaluateClipByFlags } from "./clip.ts";
import { robustnessOf, robustnessText } from "./robustness.ts";

export function model(args: readonly string[]): Promise<never> {
  return runCommand({
    usage: "deno task evaluate",
    about:
      "Judges a model on pictures: accuracy with 95 % intervals, mAP as COCO counts it, calibration, speed, species, " +
      "generations, kinds of pictures, and what is taken for what.",
    flags: {
      model: { type: "string", value: "NAME|FILE", help: "a name under models/, a package, a run or an .onnx file" },
      split: { type: "string", value: "NAME", help: "train, validation or test of the data set (default: test)" },
      images: { type: "string", value: "DIR", help: "pictures laid out as DIR/NNNN/*, in place of a split" },
      data: { type: "string", value: "DIR", help: "the data folder (default: data/PROFILE of the model's training)" },
      runs: { type: "string", value: "DIR", default: "runs", help: "the folder of runs" },
      device: { type: "string", value: "NAME", default: "cpu", help: DEVICES.join(", ") },
      batch: { type: "string", value: "N", default: "16", help: "pictures in a batch" },
      robustness: {
        type: "boolean",
        help: "also on corrupted pictures, silhouettes and pictures of other things",
      },
      limit: { type: "string", value: "N", default: "300", help: "of --robustness: at most so many pictures" },
      others: {
        ...{ type: "string", value: "LIST", default: "made,emoji" },
        help: "of --robustness: what shows no Pokémon, of made, emoji, folder:DIR; empty for none",
      },
      card: { type: "boolean", help: "also write figures, details and known failures into the model's card" },
      "no-latency": { type: "boolean", help: "do not measure the time of one picture" },
    },
    async run({ model: name, split = "test", images, data, runs, device, batch, limit, others, ...flags }) {
      if (name === undefined) throw new InputError("deno task evaluate: expected --model NAME, found none");
      if (!(splits as readonly string[]).includes(split)) {
        throw new InputError(`--split: expected ${splits.join(", ")}, found "${split}"`);
      }
      if (images !== undefined && args.some((each) => /^--(split|data)\b/.test(each))) {
        throw new InputError("deno task evaluate: expected --images, or --split with --data, found both");
      }
      if (!(DEVICES as readonly string[]).includes(device)) {
        throw new InputError(`--device: expected ${DEVICES.join(", ")}, found "${device}"`);
      }
      if (flags.card && (images !== undefined || split === "train")) {
        throw new InputError(
          `--card: expected --split validation or test, found ${images === undefined ? split : "--images"}`,
        );
      }
      const clip = await clipOf(name, runs);
      if (clip !== undefined) {
        if (images !== undefined) throw new InputError("--images: expected a detector or classifier, found a CLIP");
        return await evaluateClipByFlags(clip, { split, data, card: flags.card ?? false });
      }
      const size = integerFlag("batch", batch, 1, 1024), most = integerFlag("limit", limit, 1, 1e6);
      await using opened = await openModel(name, { runs, device: device as Device });
      const dataset = images === undefined ? await dataOf(opened, data) : undefined;
      const pictures = dataset ? splitPictures(dataset, split as Split) : folderPictures(images!);
      const report = await evaluateModel(opened, pictures, {
        ...{ batch: size, latency: !flags["no-latency"], onProgress: progress("evaluate") },
      });
      console.error(reportText(report));
      const write = async (robustness?: RobustnessReport) => {
        if (!flags.card) return;
        const command = `deno task evaluate --model ${basename(opened.folder)} --split ${split}` +
          (robustness ? " --robustness" : "");
        await writeDetails(opened.folder, report, { split: split as "validation" | "test", command, robustness });
        console.error(`${join(opened.folder, "model.json")}: written`);
      };
      if (!flags.robustness) {
        await write();
        return report;
      }
      const source = dataset ? { dataset, split: split as Split } : { folder: images! };
      const validation = dataset && split === "test" ? { dataset, split: "validation" } as const : undefined;
      const robustness = await robustnessOf(opened, source, {
        ...{ limit: most, batch: size, validation, others: others.split(",").filter((each) => each !== "") },
      });
      console.error(robustnessText(robustness));
      await write(robustness);
      return { ...report, robustness };
    },
  }, args);
}

/** The data set that the model was trained on, with the same species. */
function dataOf({ card: { trainedOn }, classes }: OpenedModel, data = join("data", trainedOn.profile)) {
  return openDataset({ dataFolder: data, species: classes.map(({ dex }) => dex), warn: console.error });
}

function percent(share: number): string {
  return (100 * share).toFixed(1);
}

function accuracyText({ top1, "top1_ci95": between, n }: PartAccuracy) {
  return { "top-1 %": percent(top1), "95 %": `[${between.map(percent).join(", ")}]`, pictures: n };
}

function reportText(report: ModelReport): string {
  const { n, top1_ci95_groups, map50, map50_95, latency_ms, perGeneration, perSource, mostConfused, skipped } = report;
  const between = (interval: readonly number[]) => `[${interval.map(percent).join(", ")}]`;
  const lines = [
    `${report.model} on ${report.pictures}: ${n} pictures`,
    `top-1 ${percent(report.top1)} % ${between(report.top1_ci95)}` +
    (top1_ci95_groups ? `, by whole near-duplicate groups ${between(top1_ci95_groups)}` : ""),
    `top-5 ${percent(report.top5)} % ${between(report.top5_ci95)}`,
    ...(map50 === undefined ? [] : [`mAP50 ${percent(map50)} %, mAP50-95 ${percent(map50_95 ?? 0)} %`]),
    `calibration error ${percent(report.ece)} % at temperature ${report.temperature.toPrecision(3)} ` +
    `(${percent(report.untempered.ece)} % without it), negative log-likelihood ${report.nll.toFixed(3)}`,
    ...(latency_ms
      ? [
        `one picture takes ${latency_ms.p50.toFixed(1)} ms (median; 95th percentile ${latency_ms.p95.toFixed(1)}), ` +
        `${latency_ms.threads} threads`,
      ]
      : []),
    plainTable(perGeneration.map(({ generation, ...part }) => ({ generation, ...accuracyText(part) }))),
    plainTable(
      perSource.slice(0, 10).map(({ source, ...part }) => ({ "kind of picture": source, ...accuracyText(part) })),
    ),
  ];
  if (mostConfused.length > 0) {
    lines.push(plainTable(
      mostConfused.slice(0, 10).map(({ truth, predicted, count, examples }) => ({
        "is": truth.name,
        "was taken for": predicted.name,
        times: count,
        "e.g.": examples[0] ?? "",
      })),
    ));
  }
  if (report.leftOut > 0) {
    lines.push(`${report.leftOut} pictures of species that the model does not know were left out`);
  }
  for (const { path, cause } of skipped.slice(0, 5)) lines.push(`skipped ${path}: ${cause}`);
  if (skipped.length > 5) lines.push(`… and ${skipped.length - 5} more (--json lists all)`);
  return lines.join("\n");
}
