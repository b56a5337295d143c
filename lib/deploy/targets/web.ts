/** The package for a browser: a static page that classifies by onnxruntime-web, without any other server. */

import { InputError } from "../../runtime/mod.ts";
import { assetFiles, ortWebFiles, pinnedVersion } from "./assets.ts";
import type { TargetContent, TargetInput } from "./target.ts";

/** Bytes of a model that a phone loads in a few seconds. */
export const WEB_BUDGET = 4e6;

/** See `TargetContent`. Throws InputError where the model is larger than the budget. */
export async function webContent({ model, path, card, budget, version }: TargetInput): Promise<TargetContent> {
  const megabytes = (bytes: number) => (bytes / 1e6).toFixed(2);
  if (model.length > budget) {
    throw new InputError(
      `${path}: expected at most ${megabytes(budget)} MB for the web, found ${
        megabytes(model.length)
      } MB; take smaller ` +
        `weights (--weights int8 of a float32 model), a smaller model, or raise the budget (--budget MB)`,
    );
  }
  const ort = await ortWebFiles(), version_ = await pinnedVersion("onnxruntime-web");
  const size = (name: string) => megabytes(ort.find(({ path }) => path === `ort/${name}`)!.content.length);
  return {
    files: [
      { path: "model.onnx", content: model },
      ...await assetFiles("shared/preprocess.mjs", "web/shrink.mjs", "web/app.mjs", "web/index.html"),
      ...ort,
    ],
    minimumRunner: 0,
    readme: `# ${card.name} ${version} for browsers

A static page: put the folder on any web server that serves \`.mjs\` as JavaScript and \`.wasm\` as application/wasm. Opened as a file
(file:) a browser loads no modules. To try it here:

\`\`\`
sha256sum --check --quiet SHA256SUMS
python3 -m http.server 8080
\`\`\`

and open http://localhost:8080/. The page names the species of a dropped or chosen picture, or of what the camera sees; pictures
do not leave the browser. A browser gives a page the camera only over https, or on localhost.

- onnxruntime-web ${version_} (MIT, © Microsoft) lies in \`ort/\`: nothing is loaded from elsewhere, the page works offline once it is loaded.
- The model has ${megabytes(model.length)} MB. The runtime adds ${
      size("ort-wasm-simd-threaded.wasm")
    } MB once (about a quarter when the server compresses
  it). \`?device=webgpu\` computes on the GPU and loads ${
      size("ort-wasm-simd-threaded.asyncify.wasm")
    } MB instead; for a network this small the
  processor is mostly as fast.
- Several threads need a page that is isolated: send \`Cross-Origin-Opener-Policy: same-origin\` and \`Cross-Origin-Embedder-Policy:
  require-corp\`. Without them one thread computes.
- A browser decodes colour profiles and half-transparent pixels with its own rounding: probabilities may differ by up to a hundredth from
  those of the other packages.
`,
  };
}
