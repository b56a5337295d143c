/** The exact steps from the exported folder to a board, as its README.md. */

import type { ModelCard } from "../../experiment/mod.ts";
import type { K210Report } from "./check.ts";
import { framesText } from "./estimate.ts";
import type { K210Settings } from "./package.ts";
import type { PreparedClassifier } from "./prepare.ts";

/** What the README tells of. */
export interface ReadmeFacts {
  readonly settings: K210Settings;
  readonly report: K210Report;
  readonly prepared: Omit<PreparedClassifier, "graph">;
  readonly pictures: number;
  readonly card: Pick<ModelCard, "name" | "about" | "metrics" | "provenance">;
}

/** The text. */
export function k210Readme({ settings, report, prepared, pictures, card }: ReadmeFacts): string {
  const { loader, estimate, modelBytes, modelBytesMost, mapBytes, macs, input } = settings;
  const size = input.shape[2];
  const processor = report.layers.filter(({ unit }) => unit === "CPU").map(({ operator }) => operator);
  const head = prepared.parts.length > 1
    ? `Its ${prepared.classes} outputs come from ${prepared.parts.length} convolutions (${
      prepared.parts.join(" and ")
    }), for the ` +
      "chip computes at most 1,024 channels in a layer. "
    : "";
  const views = prepared.views > 1
    ? `The original averages over ${prepared.views} views of each picture; the chip sees one, so the figures of the original's card are ` +
      "a little better than this model's. "
    : "";
  return `# ${card.name} for the K210

${card.about} Prepared for the Kendryte K210 (Sipeed Maix Bit and others).

| | |
| --- | --- |
| picture | ${size} x ${size}, planes of red, green and blue bytes |
| model | about ${megabytes(modelBytes)}, of ${megabytes(modelBytesMost)} that load (${loader}) |
| largest layer | ${megabytes(mapBytes)} of 2.10 MB of map memory |
| operations | ${(macs / 1e6).toFixed(0)} million multiply-accumulate steps |
| speed | ${framesText(estimate)}: ${estimate.basis} |
| on the processor | ${processor.join(", ") || "nothing"} |

\`layers.csv\` has every layer. ${head}${views}The softmax is the runner's: softmax(logits / ${settings.output.temperature}).

## 1. Compile

nncase 1.x compiles for the K210; 2.x has left the chip out, and 0.x reads no ONNX. Its packages are for Python 3.7 to 3.10 on x86-64:

    python3.10 -m venv .venv
    .venv/bin/pip install nncase==1.9.0.20230322 "numpy<2"
    .venv/bin/python compile.py

writes \`model.kmodel\`, version 5, with the ranges that ${pictures} pictures of the training set give (\`calibration.json\`). The compiler
is not reproducible to the bit: two runs on one folder have differed in three bytes.

## 2. Try it without a board

    .venv/bin/python simulate.py
    .venv/bin/python simulate.py picture.png

The first command runs the compiled model on all calibration pictures in nncase's simulator and says how often its answer is that of
\`model.onnx\` in float ("float" in \`calibration.json\`). The second needs Pillow and fits the picture a little otherwise than training did.

## 3. On the board

**CanMV firmware, MicroPython.** It loads kmodel version 5 only when built with it: the configuration "lite kmodel_v5" of
github.com/kendryte/canmv, projects/canmv_k210. Copy \`model.kmodel\`, \`k210.json\`, \`classes.txt\` and \`main.py\` to the root of a card.
The display's font has no letters beyond ASCII.

**MaixPy v1 does not load this model.** Its loader knows kmodel versions 3 and 4 ("ERR_KMODEL_VERSION"), which nncase 0.1 and 0.2 write,
and 0.2 reads ONNX only in part; the memory of both firmwares is about the same.

**kendryte-standalone-sdk, C.** A version with lib/nncase/v1 loads kmodel version 5. \`main.c\` names one picture and prints the time that the
KPU took; its first lines say how to build it. \`picture.bin\` is any file of \`calibration/\`.

None of the runners was tried on a board by whoever wrote this folder. \`model.onnx\` equals the original in float; what int8 costs, step 2
measures.

## Files

\`sha256sum -c SHA256SUMS\` checks them; \`manifest.json\` names them. ${
    card.provenance ? `Pictures: ${card.provenance.pictures} Licence: ${card.provenance.licence}` : ""
  }
`.trimEnd() + "\n";
}

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(2)} MB`;
