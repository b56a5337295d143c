/** What becomes of a model on its way to a device: tables and figures of forms, layers, devices and packages. */

import {
  type DeploymentRow,
  type DeploymentTable,
  DEVICES,
  framesText,
  K210,
  type K210Problem,
  type K210Report,
  type PruningPoint,
  type Sensitivity,
  type TargetManifest,
} from "../deploy/mod.ts";
import type { Share } from "../evaluate/mod.ts";
import type { Displayable } from "./display.ts";
import { Figure } from "./figure.ts";
import { paretoFront } from "./pareto_picture.ts";
import { shareFigure } from "./share_figure.ts";
import { table } from "./table.ts";

const megabytes = (bytes: number) => bytes / 1e6;
const percent = (share: number) => 100 * share;
const interval = (ends: readonly number[]) => ends.map((end) => percent(end).toFixed(1)).join(" … ");

/** Accuracy and size: a row a form. */
export function accuracyTable({ rows }: Pick<DeploymentTable, "rows">, caption: string): Displayable {
  return table(
    rows.map(({ model, form, bytes, accuracy, agreement, beside, int8Share }) => ({
      ...{ model, form, size: megabytes(bytes) },
      top1: accuracy && percent(accuracy.share),
      interval: accuracy ? interval(accuracy.ci95) : "not judged",
      n: accuracy?.n,
      agreement: agreement && percent(agreement.share),
      p: beside && (beside.p < 1e-3 ? "< 0.001" : beside.p.toFixed(3)),
      int8: percent(int8Share),
    })),
    {
      columns: [
        "model",
        "form",
        { key: "size", unit: "MB", decimals: 2 },
        { key: "top1", title: "top-1", unit: "%", decimals: 1 },
        { key: "interval", title: "95 %" },
        "n",
        { key: "agreement", title: "as float32", unit: "%", decimals: 1 },
        { key: "p", title: "McNemar's p" },
        { key: "int8", title: "in int8", unit: "%", decimals: 0 },
      ],
      caption,
    },
  );
}

/** Time, memory and work of one picture: a row a form. Milliseconds are the median and the 95th percentile. */
export function speedTable({ rows }: Pick<DeploymentTable, "rows">, caption: string): Displayable {
  const times = ({ p50, p95 }: { readonly p50: number; readonly p95: number }) =>
    `${p50.toFixed(1)} · ${p95.toFixed(1)}`;
  return table(
    rows.map(({ model, form, latency: { one, all, batch }, wasm, memory, bytesMoved }) => ({
      ...{ model, form, one: times(one), all: times(all), second: batch.imagesPerSecond },
      ...{
        wasm: wasm && times(wasm),
        memory: memory && megabytes(memory),
        moved: megabytes(bytesMoved),
      },
    })),
    {
      columns: [
        "model",
        "form",
        { key: "one", title: "1 thread", unit: "ms" },
        { key: "all", title: `${rows[0]?.latency.all.threads ?? "all"} threads`, unit: "ms" },
        { key: "second", title: "a second", decimals: 0 },
        { key: "wasm", title: "wasm", unit: "ms" },
        { key: "memory", unit: "MB", decimals: 0 },
        { key: "moved", title: "moved", unit: "MB", decimals: 1 },
      ],
      caption,
    },
  );
}

/** Top-1 of each form with its interval, a series a model. */
export function formsFigure({ rows }: Pick<DeploymentTable, "rows">, caption: string): Figure {
  const judged = [...Map.groupBy(rows.filter(({ accuracy }) => accuracy), ({ model }) => model)];
  return shareFigure(
    Object.fromEntries(judged.map(([model, own]) => [model, new Map(own.map((row) => [row.form, row.accuracy!]))])),
    { title: "Accuracy of every form", by: "form", of: "top-1", caption, horizontal: true },
  );
}

/** A choice in the Pareto picture. */
export interface DeploymentChoice {
  readonly model: string;
  /** "int8", "pruned by half". */
  readonly form: string;
  readonly cost: number;
  /** Top-1, 0 … 1. */
  readonly worth: number;
}

/** The judged rows as choices, by their size or the time of one picture on one thread. */
export function choicesOf({ rows }: Pick<DeploymentTable, "rows">, by: "size" | "latency"): DeploymentChoice[] {
  return rows.flatMap(({ model, form, bytes, latency: { one }, accuracy }) =>
    accuracy ? [{ model, form, cost: by === "size" ? megabytes(bytes) : one.p50, worth: accuracy.share }] : []
  );
}

/** Top-1 against what it costs, a point a choice and a colour a form; the caption names those that no other beats. */
export function choicesFigure(
  choices: readonly DeploymentChoice[],
  { by, unit, note = "" }: { readonly by: string; readonly unit: string; readonly note?: string },
): Figure {
  const models = new Set(choices.map(({ model }) => model));
  const nameOf = ({ model, form }: DeploymentChoice) => models.size > 1 ? `${model}, ${form}` : form;
  const front = paretoFront(choices.map(({ cost, worth }) => ({ cost, value: worth })));
  const series = [...Map.groupBy(choices, ({ form }) => form)].map(([name, own]) => ({
    name,
    x: own.map(({ cost }) => cost),
    y: own.map(({ worth }) => percent(worth)),
    labels: own.map(nameOf),
  }));
  return Figure.scatter({
    title: `Accuracy against ${by}`,
    caption: `None is both better and cheaper than ${front.map((i) => nameOf(choices[i]!)).join("; ")}.${
      note && ` ${note}`
    }`,
    x: { title: by, unit, log: true },
    y: { title: "top-1", unit: "%" },
    series,
  });
}

/** Top-1 on validation against what is left to compute, as pruned and after fine-tuning where that was done, with 95 % intervals. */
export function pruningFigure(points: readonly PruningPoint[], note = ""): Figure {
  const sorted = points.toSorted((a, b) => a.macs - b.macs), whole = sorted.at(-1)!, least = sorted[0]!;
  const tuned = sorted.filter(({ after }) => after).map(({ macs, after }) => ({ macs, share: after! }));
  const line = (name: string, own: readonly { readonly macs: number; readonly share: Share }[]) => ({
    name,
    x: own.map(({ macs }) => macs / 1e6),
    y: own.map(({ share }) => percent(share.share)),
    low: own.map(({ share }) => percent(share.ci95[0])),
    high: own.map(({ share }) => percent(share.ci95[1])),
  });
  const end = least.after ?? least.before;
  return Figure.line({
    title: "The pruning curve",
    caption:
      `${percent(whole.before.share).toFixed(1)} % of ${whole.before.n} validation pictures with all channels, ` +
      `${percent(end.share).toFixed(1)} % with ${
        (100 * least.macs / whole.macs).toFixed(0)
      } % of the multiplications and ` +
      `${(100 * least.parameters / whole.parameters).toFixed(0)} % of the weights.${note && ` ${note}`}`,
    x: { title: "multiply-accumulate steps of a picture", unit: "M" },
    y: { title: "top-1 on validation", unit: "%" },
    series: [
      line("as pruned", sorted.map(({ macs, before }) => ({ macs, share: before }))),
      ...(tuned.length > 0 ? [line("fine-tuned", tuned)] : []),
    ],
  });
}

/** What each layer alone in int8 loses, the most sensitive first. */
export function sensitivityFigure(
  { float, int8, layers }: Sensitivity,
  { of, most = 24 }: { readonly of: string; readonly most?: number },
): Figure {
  const shown = layers.slice(0, most), points = (share: number) => percent(share).toFixed(2);
  const [worst] = shown;
  return Figure.bar({
    title: "What each layer loses in int8",
    caption: `${of}: ${points(int8)} % with all layers in int8, ${points(float)} % in float32. ` +
      (worst && worst.loss > 0
        ? `Alone, ${worst.layer} loses most, ${points(worst.loss)} points.`
        : "No layer alone loses anything.") +
      (layers.length > most ? ` Shown: the ${most} most sensitive of ${layers.length}.` : ""),
    x: { title: "lost by the layer alone", unit: "points" },
    y: { title: "layer" },
    horizontal: true,
    categories: shown.map(({ layer }) => layer),
    series: [{ name: "lost", values: shown.map(({ loss }) => percent(loss)) }],
  });
}

/** Bytes of the KPU's map memory that each layer's input and output take, in the order of computing, beside all that there is. */
export function k210MapFigure({ layers, mapBytes }: Pick<K210Report, "layers" | "mapBytes">): Figure {
  const own = layers.filter(({ unit }) => unit === "KPU"), share = 100 * mapBytes / K210.mapMemory;
  const largest = own.find((layer) => layer.mapBytes === mapBytes);
  return Figure.bar({
    title: "Map memory of the K210, layer by layer",
    caption:
      `Input and output of a layer lie together in ${
        K210.mapMemory / 2 ** 20
      } MiB, rows packed as the chip packs them. The largest, ` +
      `${largest?.name ?? "none"}, takes ${share.toFixed(0)} % of it.`,
    x: { title: "of the map memory", unit: "%" },
    y: { title: "layer" },
    horizontal: true,
    categories: numbered(own.map(({ name }) => name)),
    series: [{ name: "taken", values: own.map((layer) => 100 * layer.mapBytes / K210.mapMemory) }],
  });
}

/** Bytes of each layer's weights as the compiler writes them. */
export function k210WeightFigure(
  { layers, modelBytes }: Pick<K210Report, "layers" | "modelBytes">,
  { loader = "maixpy" }: { readonly loader?: keyof typeof K210.modelBytes } = {},
): Figure {
  const own = layers.filter(({ weightBytes }) => weightBytes > 0), most = K210.modelBytes[loader];
  return Figure.bar({
    title: "Weights on the K210, layer by layer",
    caption:
      `Together ${megabytes(modelBytes).toFixed(2)} MB of the ${megabytes(most).toFixed(1)} MB that ${loader} loads: ` +
      `${(100 * modelBytes / most).toFixed(0)} %.`,
    x: { title: "weights", unit: "kB" },
    y: { title: "layer" },
    horizontal: true,
    categories: numbered(own.map(({ name }) => name)),
    series: [{ name: "weights", values: own.map(({ weightBytes }) => weightBytes / 1e3) }],
  });
}

/** Names that a chart can tell apart. */
function numbered(names: readonly string[]): string[] {
  const seen = new Map<string, number>();
  return names.map((name) => {
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    return count > 1 ? `${name} #${count}` : name;
  });
}

/** What stands against a network on the K210: a row a problem. */
export function k210ProblemTable(problems: readonly K210Problem[], caption: string, limit = 20): Displayable {
  return table(problems.map(({ layer, what, change }) => ({ layer, what, change })), {
    columns: ["layer", { key: "what", title: "what stands against it" }, { key: "change", title: "what would help" }],
    ...{ caption, limit },
  });
}

/** Estimated pictures a second on each device: a row a model and way to compute. All is estimated, and the caption says so. */
export function deviceTable({ rows, k210 }: DeploymentTable): Displayable {
  const text = (low: number | undefined, high: number) =>
    low === undefined ? `≤ ${high}` : low < high ? `${low} … ${high}` : `${high}`;
  const kinds = [...Map.groupBy(rows, ({ model, computes }) => `${model}\n${computes}`).values()].map(([row]) => row!);
  return table(
    kinds.map(({ model, computes, devices }) => ({
      ...{ model, "computes in": computes === "int8" ? "int8" : "floating point" },
      ...Object.fromEntries(DEVICES.map(({ name }) => {
        const found = devices.find(({ device }) => device === name);
        return [name, found ? text(...found.framesPerSecond) : "–"];
      })),
      "K210": computes === "int8" ? k210Text(k210.find((each) => each.model === model)) : "–",
    })),
    {
      caption:
        "Estimated pictures a second, none of it measured: at most what operations and bytes allow (≤), and where others have timed " +
        "MobileNetV1 on the device, from its rate on. –: the device does not compute so. " +
        `Sources: ${DEVICES.map(({ name, source }) => `${name}: ${source}`).join(". ")}. K210: Sipeed's figures.`,
    },
  );
}

function k210Text(verdict: DeploymentTable["k210"][number] | undefined): string {
  if (verdict?.estimate) return framesText(verdict.estimate).replace(" frames a second", "");
  return verdict?.report ? "does not fit" : "–";
}

/** Estimated pictures a second of the int8 forms, from the lower to the upper end; devices of which only the upper is known are left out. */
export function deviceFigure({ rows, k210 }: DeploymentTable): Figure {
  const own = rows.filter(({ computes }) => computes === "int8");
  const ends = (row: DeploymentRow): [string, number, number][] => {
    const verdict = k210.find(({ model }) => model === row.model)?.estimate;
    return [
      ...row.devices.flatMap(({ device, framesPerSecond: [low, high] }): [string, number, number][] =>
        low === undefined ? [] : [[device, low, high]]
      ),
      ...(verdict ? [["K210", ...verdict.framesPerSecond] as [string, number, number]] : []),
    ];
  };
  const found = own.map((row) => ({
    model: row.model,
    ends: new Map(ends(row).map(([device, ...pair]) => [device, pair])),
  }));
  const devices = [...new Set(found.flatMap((each) => [...each.ends.keys()]))];
  return Figure.bar({
    title: "Estimated pictures a second, int8",
    caption:
      "Estimates, not measurements: a bar ends at the lower end, its line at the upper. A model without a bar does not run there.",
    x: { title: "pictures a second, estimated", log: true },
    y: { title: "device" },
    horizontal: true,
    categories: devices,
    series: found.map(({ model, ends }) => ({
      name: model,
      values: devices.map((device) => ends.get(device)?.[0] ?? NaN),
      low: devices.map((device) => ends.get(device)?.[0] ?? NaN),
      high: devices.map((device) => ends.get(device)?.[1] ?? NaN),
    })),
  });
}

/** Files of packages with sizes and the begin of their hashes, the largest of each first. */
export function packageTable(
  packages: readonly Pick<TargetManifest, "target" | "files">[],
  { most = 4 }: { readonly most?: number } = {},
): Displayable {
  const rows = packages.flatMap(({ target, files }) => {
    const sorted = files.toSorted((a, b) => b.bytes - a.bytes || (a.path < b.path ? -1 : 1)), rest = sorted.slice(most);
    return [
      ...sorted.slice(0, most).map(({ path, bytes, sha256 }) => ({
        target,
        file: path,
        kB: bytes / 1e3,
        sha256: `${sha256.slice(0, 16)}…`,
      })),
      ...(rest.length > 0
        ? [{
          target,
          file: `${rest.length} more`,
          kB: rest.reduce((sum, { bytes }) => sum + bytes, 0) / 1e3,
          sha256: "",
        }]
        : []),
    ];
  });
  return table(rows, {
    columns: ["target", "file", { key: "kB", title: "size", unit: "kB", decimals: 1 }, {
      key: "sha256",
      title: "SHA-256",
    }],
    caption: "Each package has manifest.json with all of them, and SHA256SUMS for sha256sum --check.",
  });
}
