/** What LiteRT's interpreter makes of our .tflite files, beside ONNX Runtime on the same whole numbers: small networks, then the shipped model. */

import { join } from "node:path";
import {
  exportEdgeTpu,
  guessesOf,
  type PictureBatch,
  samplePictures,
  toTflite,
  writeTflite,
} from "../../lib/deploy/mod.ts";
import { type Dataset, openDataset, type OpenedModel, openModel } from "../../lib/experiment/mod.ts";
import { toModel } from "../../lib/onnx/mod.ts";
import { exists, openSession, WorkError } from "../../lib/runtime/mod.ts";
import { channelsLast, drawnPictures, NETWORKS, quantizedNetwork } from "../../tests/deploy/tflite_networks.ts";
import { type BenchRow, benchRow } from "../bench/row.ts";
import { command, peerPython } from "./python.ts";

/** LiteRT, and what the exported folder's runner needs. */
const PACKAGES = ["ai-edge-litert==2.3.0", "numpy==2.4.6", "pillow==12.0.0"];

/** LiteRT's two sets of kernels: XNNPACK's, which it takes by default, and TFLite's own. */
const KERNELS = ["xnnpack", "builtin"] as const;

/** See `KERNELS`. */
type Kernels = typeof KERNELS[number];

/**
 * Units of the output's scale that each may be from ONNX Runtime, and the least share of pictures with one answer. XNNPACK rounds as ONNX
 * Runtime does; TFLite's own kernels multiply by a 32-bit fraction and round twice in every layer, which adds up over some thirty of them.
 */
const LIMITS = { units: { xnnpack: 2, builtin: 8 }, same: 0.98 };

/** Where built data sets are looked for, the largest first, below POKEDEX_DATA or `data`. */
const DATA = ["national", "quick", "."];

/** What tests/peers/tflite.py says of a file. */
interface LitertRun {
  readonly litert: string;
  readonly input: LitertPort;
  readonly output: LitertPort;
}

interface LitertPort {
  readonly shape: readonly number[];
  readonly type: "int8" | "float32";
  readonly scale: number;
  readonly zeroPoint: number;
}

/**
 * Rows for the small networks' largest difference, and of the shipped model for bytes, difference and answers. Throws PeerMissing without
 * LiteRT for this Python, WorkError where the two are further apart than they may be. Without a data set the shipped model is left out.
 */
export async function compareTflite({ pictures = 400, model = "pokedex-1025" } = {}): Promise<BenchRow[]> {
  const python = await peerPython(PACKAGES), folder = await Deno.makeTempDir({ prefix: "pokedex-peers-" });
  try {
    const rows: BenchRow[] = [];
    for (const [name, make] of Object.entries(NETWORKS)) {
      const { quantized, calibration } = await quantizedNetwork(await make()),
        images = drawnPictures(quantized, 32, "peers");
      await Deno.writeFile(
        join(folder, "small.tflite"),
        writeTflite(toTflite(quantized, { ranges: calibration.ranges })),
      );
      const small = {
        ...{ tflite: join(folder, "small.tflite"), onnx: toModel(quantized), output: quantized.outputs[0]!.name },
        ...{ name, pictures: images.map((each) => ({ images: each, labels: [] })) },
      };
      for (const kernels of KERNELS) {
        const { units } = await distance(python, folder, { ...small, kernels });
        rows.push(benchRow("tflite", `${name}: units apart, ${kernels}`, "units", units, {}));
      }
    }
    const dataset = await someDataset();
    if (!dataset) {
      const place = Deno.env.get("POKEDEX_DATA") ?? "data";
      console.error(`skipped tflite of ${model}: expected a built data set in ${place} (or POKEDEX_DATA), found none`);
      return rows;
    }
    await using opened = await openModel(model);
    return [...rows, ...await compareShipped(python, folder, { opened, dataset, pictures })];
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function compareShipped(
  python: string,
  folder: string,
  { opened, dataset, pictures }: { readonly opened: OpenedModel; readonly dataset: Dataset; readonly pictures: number },
): Promise<BenchRow[]> {
  const out = join(folder, "edgetpu"),
    { name } = opened.card,
    view = { card: opened.card, dex: opened.card.classes.dex };
  const { bytes } = await exportEdgeTpu(opened, { out, dataset: () => Promise.resolve(dataset), judged: 16 });
  const shown = await samplePictures({ dataset, split: "test" }, view, { count: pictures, batch: 1, seed: 1 });
  const onnx = await Deno.readFile(join(out, "model.int8.onnx"));
  const labels = shown.flatMap((each) => each.labels), n = labels.length, rows: BenchRow[] = [];
  const float = await guessesOf(await Deno.readFile(join(opened.folder, opened.card.file.name)), shown, {
    name: "images",
  });
  const right = (guesses: readonly number[]) => guesses.filter((each, i) => each === labels[i]).length / n;
  for (const kernels of KERNELS) {
    const model = { tflite: join(out, "model.tflite"), onnx, output: "logits", pictures: shown };
    const found = await distance(python, folder, { ...model, name, kernels });
    const same = found.litert.filter((each, i) => each === found.onnx[i]).length / n;
    console.error(
      `tflite: ${name}: ${bytes} bytes; LiteRT ${found.version} (${kernels}) and ONNX Runtime name the same in ${
        percent(same)
      } of ${n} ` +
        `test pictures, logits at most ${found.units} units apart (${percent(found.equal)} equal); top-1 ` +
        `${percent(right(found.litert))} in int8, one view, and ${
          percent(right(float))
        } in the shipped file, with its views`,
    );
    if (!(same >= LIMITS.same)) {
      throw new WorkError(`tflite: ${name}: expected the same answers in ${LIMITS.same} of pictures, found ${same}`);
    }
    rows.push(
      benchRow("tflite", `${name}: logits, units apart, ${kernels}`, "units", found.units, {}),
      benchRow("tflite", `${name}: same answer in ${n} test pictures, ${kernels}`, "share", 1, { litert: same }),
      benchRow(
        "tflite",
        `${name}: top-1 of ${n} test pictures, shipped file beside int8, ${kernels}`,
        "share",
        right(float),
        {
          litert: right(found.litert),
        },
      ),
    );
  }
  const test = await command(
    python,
    [join(out, "runner.py"), "--cpu", "--self-test"],
    "expected the runner's self-test to pass",
  );
  console.error(`tflite: ${name}: runner.py --cpu --self-test: ${test.split("\n").length} pictures as expected`);
  return rows;
}

const percent = (share: number) => `${(100 * share).toFixed(2)} %`;

/** What the two give for the same pictures. */
interface Distance {
  readonly version: string;
  /** Of the output's scale, the most that two numbers are apart. */
  readonly units: number;
  /** The share of numbers that are equal. */
  readonly equal: number;
  /** The likeliest of each picture, the first where several are. */
  readonly litert: readonly number[];
  readonly onnx: readonly number[];
}

async function distance(
  python: string,
  folder: string,
  { name, kernels, tflite, onnx, output, pictures }: {
    readonly name: string;
    readonly kernels: Kernels;
    readonly tflite: string;
    readonly onnx: Uint8Array;
    readonly output: string;
    readonly pictures: readonly PictureBatch[];
  },
): Promise<Distance> {
  const script = new URL("../../tests/peers/tflite.py", import.meta.url).pathname;
  const inputs = join(folder, "inputs.bin"), results = join(folder, "outputs.bin");
  const ask = async (chosen: readonly PictureBatch[], port: Pick<LitertPort, "scale" | "zeroPoint">) => {
    const whole = chosen.map(({ images }) => wholeNumbers(channelsLast(images).data, port));
    await Deno.writeFile(inputs, new Uint8Array(await new Blob(whole).arrayBuffer()));
    return JSON.parse(
      await command(python, [script, tflite, inputs, results, kernels], "expected LiteRT to run"),
    ) as LitertRun;
  };
  // Its scale is known when it has run once.
  const { input } = await ask(pictures.slice(0, 1), { scale: 1, zeroPoint: 0 });
  const { output: port, litert: version } = await ask(pictures, input);
  const found = new Int8Array((await Deno.readFile(results)).buffer), length = found.length / pictures.length;
  await using session = await openSession(onnx, { threads: 2, name: "tflite peer" });
  let units = 0, equal = 0;
  const tops = { litert: [] as number[], onnx: [] as number[] };
  for (const [i, { images }] of pictures.entries()) {
    const answer = channelsLast((await session.run({ images }))[output]!).data;
    const expected = wholeNumbers(answer, port), own = found.subarray(i * length, (i + 1) * length);
    expected.forEach((value, k) => {
      units = Math.max(units, Math.abs(value - own[k]!));
      if (value === own[k]) equal++;
    });
    tops.litert.push(own.indexOf(Math.max(...own)));
    tops.onnx.push(expected.indexOf(Math.max(...expected)));
  }
  if (!(units <= LIMITS.units[kernels])) {
    throw new WorkError(`tflite: ${name}, ${kernels}: expected at most ${LIMITS.units[kernels]} units, found ${units}`);
  }
  return { version, units, equal: equal / found.length, ...tops };
}

function wholeNumbers(
  data: Float32Array,
  { scale, zeroPoint }: Pick<LitertPort, "scale" | "zeroPoint">,
): Int8Array<ArrayBuffer> {
  return Int8Array.from(data, (x) => Math.min(127, Math.max(-128, Math.round(x / scale) + zeroPoint)));
}

async function someDataset(): Promise<Dataset | undefined> {
  const place = Deno.env.get("POKEDEX_DATA") ?? "data";
  for (const name of DATA) {
    const dataFolder = join(place, name);
    if (await exists(join(dataFolder, "processed"))) return await openDataset({ dataFolder });
  }
  return undefined;
}
