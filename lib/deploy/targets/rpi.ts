/** The package for a Raspberry Pi 4 (arm64, 64-bit system): a runner in plain Node that updates its model by itself. */

import { assetFiles, pinnedVersion } from "./assets.ts";
import type { TargetFile } from "./manifest.ts";
import type { TargetContent, TargetInput } from "./target.ts";

/** Where the units expect the package. */
const PLACE = "/opt/pokedex";

/** See `TargetContent`. */
export async function rpiContent({ model, card, publicKey, updateUrl, version }: TargetInput): Promise<TargetContent> {
  const [onnxruntime, sharp] = await Promise.all(["onnxruntime-node", "sharp"].map(pinnedVersion));
  const files: TargetFile[] = [
    { path: "model.onnx", content: model, update: true },
    ...await assetFiles("shared/preprocess.mjs", "shared/picture.mjs", "rpi/runner.mjs", "rpi/updater.mjs"),
    ...await assetFiles("rpi/pokedex-update.service", "rpi/pokedex-update.timer"),
    {
      path: "package.json",
      content: json({
        name: "pokedex-rpi",
        version: "1.0.0",
        private: true,
        type: "module",
        engines: { node: ">=20.9" },
        dependencies: { "onnxruntime-node": onnxruntime, sharp },
      }),
    },
    {
      path: "update.json",
      content: json({ target: "rpi", model: card.name, url: updateUrl ?? null, publicKey: publicKey ?? null }),
    },
  ];
  return { files, minimumRunner: 1, readme: readme(card.name, version, publicKey !== undefined) };
}

const json = (value: unknown) => JSON.stringify(value, null, 2) + "\n";

function readme(name: string, version: number, signed: boolean): string {
  return `# ${name} ${version} for the Raspberry Pi 4

Needs a 64-bit system (Raspberry Pi OS, arm64) with Node 20.9 or later (\`node --version\`).

## Install

\`\`\`
sudo cp -r . ${PLACE} && cd ${PLACE}
sha256sum --check --quiet SHA256SUMS
sudo npm install --omit=dev --ignore-scripts
node runner.mjs --self-test
sudo node updater.mjs install
\`\`\`

The two packages, ONNX Runtime and sharp, are pinned in \`package.json\` and bring their arm64 libraries with them: no script has to
run. \`install\` makes \`versions/${version}\` and the link \`current\`.

## Use

\`\`\`
node runner.mjs picture.jpg folder/ --top 3
echo '{"image": "picture.jpg"}' | node runner.mjs -
node runner.mjs --threads 2 picture.jpg
\`\`\`

One JSON line a picture: \`{"image", "top": [{"dex", "class", "name", "score"}]}\`, or \`{"image", "error"}\` for what is no picture (status
2). \`--threads\` is the number of cores that a picture may take; by default all four. Two leave the board cooler and free for other
work; waiting threads sleep. With \`-\` the model stays open between pictures.

## Updates

${
    signed
      ? ""
      : "**This package was not signed: it takes no updates.** Export it with `--sign KEYFILE --update-url URL`.\n\n"
  }\`\`\`
sudo cp pokedex-update.service pokedex-update.timer /etc/systemd/system/
sudo systemctl enable --now pokedex-update.timer
node updater.mjs status
\`\`\`

Publish a new version by putting the folder that \`deno task export … --sign KEYFILE --version N\` wrote at the URL in \`update.json\`. The
device fetches \`manifest.json\` and \`manifest.sig\`, and takes the version only when the signature is by the key in \`update.json\`, the
number is no smaller than any it took before, its runner is new enough, and the device's place (a hash of model, version and
\`device-id\`, 0 … 1) lies below the manifest's share. Files come with resume, are checked by size and SHA-256, and are tested on the
pictures of \`selftest.json\` before \`current\` is switched, by one rename. The first run confirms a version; where it fails, or is
broken off twice, the version before takes over and the failed one is not taken again. The version before stays on the disk: \`sudo
node updater.mjs rollback\` goes back to it by hand. An update brings the model and its files, never code: for a new runner copy a
new package here.

The first run of a new version has to write in ${PLACE}: a user who may not gets the answers of the version before until one who
may has run it (\`sudo node runner.mjs --top 1 selftest-1.png\` does).
`;
}
