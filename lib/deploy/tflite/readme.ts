/** The exact steps from the exported folder to a Coral Edge TPU, as its README.md. */

import type { ModelCard } from "../../experiment/mod.ts";
import { preprocessingText, type TargetPreprocessing } from "../targets/preprocessing.ts";
import { EDGETPU, type EdgeTpuReport } from "./check.ts";
import type { EdgeTpuSettings } from "./package.ts";

/** What the README tells of. */
export interface EdgeTpuReadmeFacts {
  readonly settings: EdgeTpuSettings;
  readonly report: EdgeTpuReport;
  readonly card: Pick<ModelCard, "name" | "about" | "metrics" | "provenance">;
  readonly preprocessing: TargetPreprocessing;
  /** That the ranges come from. */
  readonly pictures: number;
  /** That the model averages over. */
  readonly views: number;
  /** Of model.tflite. */
  readonly bytes: number;
}

/** The text. */
export function edgeTpuReadme(facts: EdgeTpuReadmeFacts): string {
  const { settings, report, card, preprocessing, pictures, views, bytes } = facts;
  const { input, output, agreement } = settings, size = input.shape[1];
  const operators = [...report.operators].map(([name, n]) => `${n} ${name}`).join(", ");
  const memory = report.isCached
    ? "so the parameters have room on the chip, but for what the compiler keeps for the program"
    : "so some parameters come from the host at every run, which is slower";
  const averaged = settings.views === "mirror"
    ? "The runner asks for the picture and its mirror image and takes the mean, as the model's card does."
    : views > 1
    ? `The original averages over ${views} views of each picture; the runner shows one, so the figures of the card are a little better.`
    : "";
  return `# ${card.name} for the Coral Edge TPU

${card.about} Int8 from end to end, for a Coral USB Accelerator, Dev Board, M.2 or PCIe card.

| | |
| --- | --- |
| \`model.tflite\` | ${megabytes(bytes)}, of which parameters ${megabytes(report.parameterBytes)} |
| the chip's memory | ${EDGETPU.memory / 2 ** 20} MiB, ${memory} |
| largest result between two operators | ${(report.largestActivation / 1e3).toFixed(0)} kB |
| operators | ${operators} |
| input \`${input.name}\` | int8 [${input.shape.join(", ")}], q = round(x / ${input.scale}) ${signed(input.zeroPoint)} |
| output \`${output.name}\` | int8 [${output.shape.join(", ")}], logit = (q ${
    signed(-output.zeroPoint)
  }) · ${output.scale} |
| int8 beside float32 | the same answer in ${
    (100 * agreement.share).toFixed(1)
  } % of ${agreement.n} validation pictures, one view each |

Ranges come from ${pictures} pictures of the training split. All operators are in Coral's table of what the Edge TPU runs, within the limits
that it names. \`model.int8.onnx\` computes with the same whole numbers in ONNX Runtime, to compare with.

## 1. Compile, on x86-64 Linux

    curl https://packages.cloud.google.com/apt/doc/apt-key.gpg | sudo gpg --dearmor -o /usr/share/keyrings/coral.gpg
    echo "deb [signed-by=/usr/share/keyrings/coral.gpg] https://packages.cloud.google.com/apt coral-edgetpu-stable main" |
      sudo tee /etc/apt/sources.list.d/coral-edgetpu.list
    sudo apt-get update && sudo apt-get install edgetpu-compiler
    edgetpu_compiler --show_operations model.tflite

writes \`model_edgetpu.tflite\`, with a table that should say "Mapped to Edge TPU" for every operator. The compiler is a program of Google's
for x86-64 Debian and Ubuntu alone: it does not run on a Raspberry Pi or on the Dev Board, so compile elsewhere and copy the file. It was
not at hand where this folder was written: the table that this file was checked against is Coral's published one, and no time on a chip
was measured. On a processor the file runs as it is, see \`--cpu\` below.

## 2. Run, on the device

    sudo apt-get install libedgetpu1-std python3-tflite-runtime python3-numpy python3-pil
    sha256sum --check --quiet SHA256SUMS
    python3 runner.py --self-test
    python3 runner.py picture.jpg other.png --top 3

\`libedgetpu1-std\` is from the same source of packages as the compiler. One JSON line a picture:
\`{"image", "top": [{"dex", "class", "name", "score"}]}\`. Without a chip, anywhere:

    pip install ai-edge-litert numpy pillow
    python3 runner.py --cpu --self-test

runs \`model.tflite\` on the processor. ${averaged}

${preprocessingText(preprocessing)}
For this file the last step differs: order as NHWC, [1, ${size}, ${size}, 3], and quantize as the table above says; its output is logits, one
row, to which softmax(logit) gives the probabilities named here.

## TensorFlow Serving

This folder has no SavedModel: that is TensorFlow's own graph, which only TensorFlow writes, and nothing here is made with it.
TensorFlow Serving's experimental \`--prefer_tflite_model\` wants a TFLite file with signatures beside a SavedModel; this file has none. A
folder for a server is what \`deno task export --target triton\` writes.

## Files

\`sha256sum -c SHA256SUMS\` checks them; \`manifest.json\` names them. ${
    card.provenance ? `Pictures: ${card.provenance.pictures} Licence: ${card.provenance.licence}` : ""
  }`.trimEnd() + "\n";
}

const signed = (value: number) => value < 0 ? `- ${-value}` : `+ ${value}`;
const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(2)} MB`;
