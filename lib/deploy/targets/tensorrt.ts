/** The package for a Jetson: an ONNX file with a fixed batch, from which TensorRT builds an engine on the device itself. */

import { assetFiles } from "./assets.ts";
import { tensorrtModel } from "./model_file.ts";
import { InputError } from "../../runtime/mod.ts";
import type { TargetContent, TargetInput } from "./target.ts";

/** See `TargetContent`. */
export async function tensorrtContent(
  { model, path, card, batch, weights, version }: TargetInput,
): Promise<TargetContent> {
  if (weights !== undefined && weights !== "float32" && weights !== "float16") {
    throw new InputError(
      `--weights: expected float32 or float16 for tensorrt, found "${weights}"; int8 comes as a quantized file, --quantized FILE`,
    );
  }
  const { model: fixed, opset, quantized } = await tensorrtModel(model, { path, batch, weights });
  return {
    files: [
      { path: "model.onnx", content: fixed },
      ...await assetFiles("tensorrt/runner.py", "tensorrt/preprocess.py"),
    ],
    minimumRunner: 0,
    readme: readme(card.name, version, { batch, opset, quantized, input: card.input.name }),
  };
}

function readme(
  name: string,
  version: number,
  { batch, opset, quantized, input }: {
    readonly batch: number;
    readonly opset: number;
    readonly quantized: boolean;
    readonly input: string;
  },
): string {
  const int8 = quantized
    ? `This file is quantized: its QuantizeLinear and DequantizeLinear nodes carry the scales, so TensorRT needs no calibration.

\`\`\`
trtexec --onnx=model.onnx --int8 --fp16 --saveEngine=model.engine
\`\`\`

\`--fp16\` beside it lets layers that stay in floating point run in half precision.`
    : `\`\`\`
trtexec --onnx=model.onnx --fp16 --saveEngine=model.engine
\`\`\`

Without \`--fp16\` the engine computes in float32 (in TF32 on Ampere GPUs; \`--noTF32\` turns that off). For int8 export a quantized file,
S8S8 with its scales in QuantizeLinear and DequantizeLinear nodes: \`deno task export --target tensorrt --quantized FILE\`, then
\`trtexec --onnx=model.onnx --int8 --fp16 --saveEngine=model.engine\`. \`--int8\` on this file, without scales, would time the layers with
made-up ranges and give wrong answers.`;
  return `# ${name} ${version} for NVIDIA Jetson

Needs JetPack with TensorRT and, for the runner, Python 3.6 or later with numpy and Pillow (\`sudo apt install python3-numpy
python3-pil\`). The file speaks opset ${opset}${
    opset > 13 ? ": TensorRT 8.6 or later" : ""
  }, with a fixed batch of ${batch}.

## Build the engine, on the device

\`trtexec\` lies in /usr/src/tensorrt/bin.

${int8}

- **An engine is not portable**: it belongs to the GPU, the TensorRT version and the JetPack on which it was built. Copy this folder to
  each device and build there; build again after an upgrade.
- **The Jetson Nano (Maxwell) has no INT8**, nor has the TX2 (Pascal): use \`--fp16\` there. Xavier and Orin have it.
- **DLA** (Xavier and Orin, not Orin Nano): \`trtexec --onnx=model.onnx --fp16 --useDLACore=0 --allowGPUFallback
  --saveEngine=model.engine\`. Convolutions, ReLU, additions and pooling go to the DLA; the reversed picture of a model that averages
  with its mirror image, the softmax and the mean over views stay on the GPU, and each change between the two costs a copy. For a
  network this small the GPU alone is mostly faster: measure both with \`trtexec --loadEngine=model.engine\`.
- Time it: \`trtexec --loadEngine=model.engine --iterations=200 --avgRuns=50\`; before that \`sudo nvpmodel -m 0 && sudo jetson_clocks\`.

## Use

\`\`\`
sha256sum --check --quiet SHA256SUMS
python3 runner.py --self-test
python3 runner.py picture.jpg other.png --top 3
\`\`\`

Without a GPU \`python3 runner.py --onnx model.onnx --self-test\` runs the same file by ONNX Runtime (\`pip install onnxruntime\`).
The engine's input is \`${input}\` [${batch}, 3, size, size]: the runner fills an unfinished batch with zeros.
Pillow shrinks large pictures with its own rounding: probabilities may differ by up to a hundredth from those of the other packages.
`;
}
