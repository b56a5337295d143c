/** The package for NVIDIA Triton: a model repository with one model. */

import { readPictureFile } from "../../data/mod.ts";
import { join } from "node:path";
import { assetFiles, pinnedVersion } from "./assets.ts";
import type { TargetFile } from "./manifest.ts";
import type { TargetContent, TargetInput } from "./target.ts";
import type { ModelCard } from "../../experiment/mod.ts";

/** Pictures in one run of the model, at most. */
const LARGEST_BATCH = 32;

/** See `TargetContent`. */
export async function tritonContent(
  { model, card, names, selfTest, version }: TargetInput,
): Promise<TargetContent> {
  const { name, input: { size } } = card, sharp = await pinnedVersion("sharp");
  return {
    files: [
      { path: `${name}/config.pbtxt`, content: tritonConfig(card) },
      { path: `${name}/${version}/model.onnx`, content: model },
      { path: `${name}/labels.txt`, content: names },
      { path: "request.json", content: await sampleRequest(card, selfTest) },
      ...await assetFiles("shared/preprocess.mjs", "shared/picture.mjs", "triton/request.mjs"),
      {
        path: "package.json",
        content: JSON.stringify(
          { name: "pokedex-triton", version: "1.0.0", private: true, type: "module", dependencies: { sharp } },
          null,
          2,
        ) + "\n",
      },
    ],
    minimumRunner: 0,
    readme: `# ${name} ${version} for NVIDIA Triton

This folder is a model repository with one model.

\`\`\`
sha256sum --check --quiet SHA256SUMS
docker run --rm -p 8000:8000 -p 8001:8001 -p 8002:8002 -v "$PWD:/models:ro" nvcr.io/nvidia/tritonserver:VERSION-py3 \\
  tritonserver --model-repository=/models
\`\`\`

Take a VERSION whose ONNX Runtime knows opset 17 (22.08 or later); add \`--gpus all\` where there is a GPU. Then:

\`\`\`
curl -s localhost:8000/v2/models/${name}/ready
curl -s localhost:8000/v2/models/${name}/infer -H 'Content-Type: application/json' -d @request.json
npm install --omit=dev --ignore-scripts
node request.mjs picture.jpg --url http://localhost:8000
\`\`\`

\`request.json\` is \`selftest-1.png\` as Open Inference Protocol v2; the answer's largest value stands at the class that
\`selftest.json\` names. With \`"parameters": {"classification": 5}\` in a requested output Triton sends the five best labels. The
values are the model's own, without the temperature; \`request.mjs\` applies it.

Batching: requests wait at most 2 ms for others, up to ${LARGEST_BATCH} pictures run together. A picture is ${
      3 * size * size * 4
    } bytes as
binary data, and several times that as JSON: send binary tensors where it counts.

**TensorFlow Serving** is no target: it loads SavedModel, a TensorFlow graph, and nothing else. This model is an ONNX graph from its
definition on; a conversion would be another program with other operators, and none of this project's figures would be about it.
`,
  };
}

/** `config.pbtxt` (triton-inference-server/server, docs/user_guide/model_configuration.md). */
export function tritonConfig({ name, input, outputs, classes }: ModelCard): string {
  return `name: ${JSON.stringify(name)}
platform: "onnxruntime_onnx"
max_batch_size: ${LARGEST_BATCH}
input [
  {
    name: ${JSON.stringify(input.name)}
    data_type: TYPE_FP32
    dims: [ 3, ${input.size}, ${input.size} ]
  }
]
output [
  {
    name: ${JSON.stringify(outputs.probabilities)}
    data_type: TYPE_FP32
    dims: [ ${classes.count} ]
    label_filename: "labels.txt"
  }
]
dynamic_batching {
  preferred_batch_size: [ 8, 16, ${LARGEST_BATCH} ]
  max_queue_delay_microseconds: 2000
}
version_policy {
  latest {
    num_versions: 1
  }
}
`;
}

/** The first picture of the self-test as a request of the Open Inference Protocol v2. */
async function sampleRequest({ input, outputs }: ModelCard, selfTest: readonly TargetFile[]): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "pokedex_request_" });
  try {
    const path = join(folder, "picture.png"), { size, view, background, mean, std } = input;
    await Deno.writeFile(path, selfTest.find((file) => file.path === "selftest-1.png")!.content as Uint8Array);
    const { planes } = await readPictureFile(path, { size, view, background, normalisation: { mean, std } });
    return JSON.stringify({
      inputs: [{ name: input.name, shape: [1, 3, size, size], datatype: "FP32", data: Array.from(planes) }],
      outputs: [{ name: outputs.probabilities }],
    }) + "\n";
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
