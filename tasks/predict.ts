/** `deno task predict IMAGE…`: which species pictures show. */

import { openModel, type Prediction, predictPictures } from "../lib/experiment/mod.ts";
import { type Device, DEVICES, InputError, integerFlag, runCommand } from "../lib/runtime/mod.ts";
import { annotate } from "./predict/annotate.ts";

await runCommand({
  usage: "deno task predict",
  about:
    "Names the species of pictures (JPEG, PNG, WebP, GIF, AVIF, TIFF, SVG; of an animation the first frame). Without " +
    "--model it takes the only model under models/, else the newest finished run (those on a naive split left out).",
  operands: "IMAGE…",
  flags: {
    model: { type: "string", value: "NAME|FILE", help: "a name under models/, a package, a run or an .onnx file" },
    top: { type: "string", value: "N", default: "5", help: "species named of each picture" },
    annotate: { type: "string", value: "DIR", help: "also write copies with box, name and probability there, as PNG" },
    runs: { type: "string", value: "DIR", default: "runs", help: "the folder of runs" },
    device: { type: "string", value: "NAME", default: "cpu", help: DEVICES.join(", ") },
    batch: { type: "string", value: "N", default: "16", help: "pictures at a time, 1 to 16" },
  },
  async run({ model, top, annotate: folder, runs, device, batch }, images) {
    if (images.length === 0) throw new InputError("deno task predict: expected IMAGE…, found none; see --help");
    if (!(DEVICES as readonly string[]).includes(device)) {
      throw new InputError(`--device: expected ${DEVICES.join(", ")}, found "${device}"`);
    }
    const options = { top: integerFlag("top", top, 1, 1025), batch: integerFlag("batch", batch, 1, 16) };
    await using opened = await openModel(model, { runs, device: device as Device });
    if (model === undefined) console.error(`by ${opened.card.name}; --model takes another`);
    const predictions = await predictPictures(opened, images, options);
    for (const line of predictions.map(predictionText)) console.error(line);
    if (folder !== undefined) { for (const path of await annotate(predictions, folder)) console.error(path); }
    return predictions.map(({ image, top }) => ({ image, top }));
  },
});

function predictionText({ image, top }: Prediction): string {
  return `${image}: ${top.map(({ name, score }) => `${name} ${(100 * score).toFixed(1)} %`).join(", ")}`;
}
