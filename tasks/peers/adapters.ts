/** Few-shot adapters beside transcriptions of their papers in Python, on the same embeddings with the same settings. */

import { join } from "node:path";
import { readJson, tensor, WorkError } from "../../lib/runtime/mod.ts";
import {
  type Adapter,
  clipAdapter,
  gda,
  linearProbe,
  lpPlusPlus,
  nearestPrototype,
  tipAdapter,
  tipAdapterF,
  zeroShot,
} from "../../lib/vlm/mod.ts";
import { type BenchRow, benchRow } from "../bench/row.ts";
import { command, peerPython } from "./python.ts";

const PACKAGES = ["torch==2.13.0", "numpy==2.4.6", "scikit-learn==1.9.1"];

/** What ours may differ by from theirs in double precision: a part of the largest logit. */
const TOLERANCE = 1e-4;

/** What tests/peers/adapters.py writes: embeddings, and the logits of the queries by adapter. */
interface Recorded {
  readonly classes: number;
  readonly dimension: number;
  readonly logitScale: number;
  readonly steps: number;
  readonly features: readonly number[];
  readonly labels: readonly number[];
  readonly texts: readonly number[];
  readonly queries: readonly number[];
  readonly down: readonly number[];
  readonly up: readonly number[];
  readonly logits: Readonly<Record<string, readonly number[]>>;
}

/** How far an adapter's logits are from the recorded ones. */
export interface Agreement {
  readonly adapter: string;
  /** The largest difference over the largest logit. */
  readonly difference: number;
  /** Rows in which both say the same class, of all. */
  readonly sameClass: number;
  readonly rows: number;
  readonly seconds: number;
}

/** Fits every adapter to the embeddings of a file that tests/peers/adapters.py wrote. */
export async function agreements(path: string): Promise<Agreement[]> {
  const recorded = await readJson(path) as Recorded, { classes, dimension } = recorded;
  const rows = (data: readonly number[], width = dimension) => tensor("float32", [data.length / width, width], data);
  const train = { features: rows(recorded.features), labels: Int32Array.from(recorded.labels) };
  const queries = rows(recorded.queries), full = { epochs: recorded.steps, batch: train.labels.length };
  const adapters: readonly Adapter[] = [
    zeroShot(),
    nearestPrototype({ textWeight: 0.3 }),
    linearProbe({ inverseStrength: 10, tolerance: 1e-8, iterations: 2000 }),
    lpPlusPlus({ steps: 60 }),
    gda({ alpha: 0.5 }),
    tipAdapter({ alpha: 1.5, beta: 5.5, keys: 1e6 }),
    tipAdapterF({ alpha: 1.5, beta: 5.5, keys: 1e6, ...full }),
    clipAdapter({
      ratio: 0.4,
      reduction: 2,
      initial: { down: rows(recorded.down), up: rows(recorded.up, dimension / 2) },
      ...full,
    }),
  ];
  const result: Agreement[] = [];
  for (const adapter of adapters) {
    const expected = recorded.logits[adapter.name]!, start = performance.now();
    const { texts, logitScale } = recorded;
    await using fitted = await adapter.fit({ train, texts: rows(texts), classes, logitScale });
    const { data } = await fitted.logits(queries);
    const largest = Math.max(...expected.map(Math.abs));
    let difference = 0, sameClass = 0;
    for (let from = 0; from < expected.length; from += classes) {
      const ours = [...data.subarray(from, from + classes)], theirs = expected.slice(from, from + classes);
      difference = Math.max(difference, ...ours.map((value, k) => Math.abs(value - theirs[k]!)));
      if (ours.indexOf(Math.max(...ours)) === theirs.indexOf(Math.max(...theirs))) sameClass++;
    }
    result.push({
      adapter: adapter.name,
      difference: difference / largest,
      sameClass,
      rows: expected.length / classes,
      seconds: (performance.now() - start) / 1e3,
    });
  }
  return result;
}

/** A row an adapter: the seconds of either side. Throws WorkError for logits that differ by more than 1e-4, PeerMissing without Python. */
export async function compareAdapters({ classes = 40, dimension = 64, shots = 8 } = {}): Promise<BenchRow[]> {
  const python = Deno.env.get("POKEDEX_PYTHON") ?? await peerPython(PACKAGES);
  const script = new URL("../../tests/peers/adapters.py", import.meta.url).pathname;
  const folder = await Deno.makeTempDir({ prefix: "pokedex-peers-" });
  try {
    const file = join(folder, "adapters.json"), sizes = [classes, dimension, shots].map(String);
    const printed = await command(python, [script, file, ...sizes], "expected NumPy, PyTorch and scikit-learn");
    const seconds = JSON.parse(printed.split("\n").at(-1)!) as Record<string, number>;
    return (await agreements(file)).map(({ adapter, difference, sameClass, rows, seconds: ours }) => {
      if (!(difference < TOLERANCE)) {
        throw new WorkError(`${adapter}: expected logits within ${TOLERANCE} of the peer's, found ${difference}`);
      }
      console.error(
        `adapters: ${adapter}: largest difference ${difference.toExponential(1)} of the largest logit, ` +
          `same class in ${sameClass} of ${rows}`,
      );
      const title = `${adapter}, ${classes} classes, about ${shots} pictures each, ${dimension} numbers`;
      return benchRow("adapters", title, "s", ours, { python: seconds[adapter]! });
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
