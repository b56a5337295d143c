/** `deno task export`: a model as a package for a target. */

import { join } from "node:path";
import { copyPackage, openModel } from "../lib/experiment/mod.ts";
import { InputError, runCommand } from "../lib/runtime/mod.ts";

const WEIGHTS = ["float32", "float16", "int8", "mixed"] as const;

await runCommand({
  usage: "deno task export",
  about:
    "Writes a trained model as a package of its own: model.onnx, classes.txt, model.json. With weights of fewer bytes the " +
    'card\'s figures are left out until "deno task evaluate --card" has measured them.',
  flags: {
    model: {
      type: "string",
      value: "NAME|FILE",
      help: "a name under models/, a package or a run (default: as predict)",
    },
    target: { type: "string", value: "NAME", default: "onnx", help: "onnx" },
    out: { type: "string", value: "DIR", help: "the package's folder (default: models/NAME-TARGET)" },
    weights: { type: "string", value: "NAME", help: `${WEIGHTS.join(", ")} (default: as they are)` },
    pictures: { type: "string", value: "TEXT", help: "for the card: whose pictures the model learned from" },
    licence: { type: "string", value: "TEXT", help: "for the card: what one may do with the model" },
    runs: { type: "string", value: "DIR", default: "runs", help: "the folder of runs" },
  },
  async run({ model, target, out, weights, pictures, licence, runs }) {
    if (target !== "onnx") throw new InputError(`--target: expected onnx, found "${target}"`);
    const kept = WEIGHTS.find((name) => name === weights);
    if (weights !== undefined && !kept) {
      throw new InputError(`--weights: expected ${WEIGHTS.join(", ")}, found "${weights}"`);
    }
    if ((pictures === undefined) !== (licence === undefined)) {
      throw new InputError("deno task export: expected --pictures and --licence together, found one of them");
    }
    await using opened = await openModel(model, { runs });
    const { card, folder: file } = await copyPackage(opened.folder, out ?? join("models", `${opened.card.name}-onnx`), {
      weights: kept,
      ...(pictures !== undefined && licence !== undefined ? { provenance: { pictures, licence } } : {}),
    });
    console.error(`${file}: ${(card.file.bytes / 1e6).toFixed(2)} MB, ${card.weights} weights`);
    return { folder: file, bytes: card.file.bytes, sha256: card.file.sha256, weights: card.weights };
  },
});
