/** What becomes of a student on a K210: nncase compiles the exported folder and simulates the chip, beside the model in float. */

import { join } from "node:path";
import { exportK210 } from "../../lib/deploy/mod.ts";
import { openDataset } from "../../lib/experiment/mod.ts";
import { openSession, readJson, tensor, WorkError } from "../../lib/runtime/mod.ts";
import { makeStudent } from "../../tests/deploy/k210_student.ts";
import { buildSmallData } from "../../tests/experiment/small_data.ts";
import { type BenchRow, benchRow } from "../bench/row.ts";
import { nncasePython } from "./k210_python.ts";
import { command } from "./python.ts";

/**
 * How far the checker's size may be from the compiler's, whose file has headers and fills up to whole blocks; and how alike the logits of
 * chip and float must be, as a cosine.
 */
const LIMITS = { share: 0.01, bytes: 16_384, cosine: 0.98 };

/**
 * A row for the model's bytes, checker beside compiler, and one for the logits. Throws PeerMissing without nncase 1.x, WorkError where
 * they differ by more than they may.
 */
export async function compareK210({ pictures = 8 } = {}): Promise<BenchRow[]> {
  const python = await nncasePython();
  const folder = await Deno.makeTempDir({ prefix: "pokedex-peers-" });
  try {
    const dataFolder = await buildSmallData(folder), out = join(folder, "k210");
    // A normalisation that is not the usual one, so that the compiler's must be right.
    const student = await makeStudent(join(folder, "student"), { mean: 0.4, std: 0.3 });
    const dataset = () => openDataset({ dataFolder });
    const { settings: { modelBytes, input } } = await exportK210(student, { out, dataset, count: pictures });
    const compiled = JSON.parse(await command(python, [join(out, "compile.py")], "expected nncase to compile")) as {
      readonly bytes: number;
      readonly kmodel: number;
    };
    const { bytes } = compiled;
    if (!(Math.abs(modelBytes - bytes) < LIMITS.bytes + LIMITS.share * bytes)) {
      throw new WorkError(`k210: expected about ${modelBytes} bytes of model, as the checker says, found ${bytes}`);
    }
    const printed = await command(python, [join(out, "simulate.py"), "--logits"], "expected nncase to simulate");
    const answers = JSON.parse(printed.split("\n").at(-1)!) as readonly { readonly logits: readonly number[] }[];
    const listed = await readJson(join(out, "calibration.json")) as readonly { readonly file: string }[];
    await using session = await openSession(join(out, "model.onnx"), { threads: 1 });
    const cosines: number[] = [];
    for (const [i, { file }] of listed.entries()) {
      const planes = Float32Array.from(await Deno.readFile(join(out, file)), (byte) => (byte / 255 - 0.4) / 0.3);
      const { logits } = await session.run({ images: tensor("float32", input.shape, planes) });
      cosines.push(cosine(logits!.data as Float32Array, answers[i]!.logits));
    }
    const least = Math.min(...cosines);
    console.error(
      `k210: kmodel version ${compiled.kmodel}, ${bytes} bytes (the checker said ${modelBytes}); logits of the simulated chip and of ` +
        `float: cosine at least ${least.toFixed(4)} over ${pictures} pictures`,
    );
    if (!(least > LIMITS.cosine)) {
      throw new WorkError(`k210: expected logits with a cosine above ${LIMITS.cosine} to float's, found ${least}`);
    }
    const title = "MobileNet student, 1,025 classes, 64 px";
    return [
      benchRow("k210", `${title}: model`, "bytes", modelBytes, { nncase: bytes }),
      benchRow("k210", `${title}: least cosine of logits, int8 beside float`, "cosine", 1, { nncase: least }),
    ];
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let product = 0, left = 0, right = 0;
  for (let i = 0; i < a.length; i++) {
    product += a[i]! * b[i]!;
    left += a[i]! ** 2;
    right += b[i]! ** 2;
  }
  return product / Math.sqrt(left * right);
}
