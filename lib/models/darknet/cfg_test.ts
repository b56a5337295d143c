/** `.cfg` files: what Darknet reads, and one line for what cannot be. */

import assert from "node:assert/strict";
import { formatCfg, type MapSize, ModelError, parseCfg, planNetwork } from "../mod.ts";

const net = "[net]\nwidth=32\nheight=32\nchannels=3\n";
const plan = (text: string) => planNetwork(parseCfg(text, { name: "a.cfg" }));

Deno.test("blanks, comments, a byte order mark and Windows line ends count nowhere", () => {
  const text =
    "\ufeff# first\r\n[net]\r\n width = 32 # pixels\r\nheight=16\r\n;old\r\nchannels=3\r\n\r\n[convolutional]\r\n" +
    "filters = 5\r\nactivation=leaky\r\n";
  const { input, layers } = planNetwork(parseCfg(new TextEncoder().encode(text)));
  assert.deepEqual(input, [3, 16, 32]);
  assert.deepEqual(layers[0]!.output, [5, 16, 32]);
});

Deno.test("what formatCfg writes, parseCfg reads", () => {
  const { sections } = parseCfg(formatCfg([{ kind: "net", options: { width: 4 } }, { kind: "avgpool", options: {} }]));
  assert.deepEqual(sections.map(({ kind, line }) => [kind, line]), [["net", 1], ["avgpool", 4]]);
  assert.equal(sections[0]!.options.get("width")!.value, "4");
});

/** Layer text and the map that Darknet prints for it after a first layer of 8 x 32 x 32. */
const SIZES: readonly [string, MapSize][] = [
  ["[convolutional]\nfilters=4\nsize=3\nstride=2\npad=1", [4, 16, 16]],
  ["[convolutional]\nfilters=4\nsize=3", [4, 30, 30]],
  ["[convolutional]\nfilters=4\nsize=1\npadding=1", [4, 34, 34]],
  ["[maxpool]\nsize=2\nstride=2", [8, 16, 16]],
  ["[maxpool]\nsize=2\nstride=1", [8, 32, 32]],
  ["[maxpool]\nsize=3\nstride=2", [8, 16, 16]],
  ["[maxpool]\nstride=2", [8, 16, 16]],
  ["[maxpool]\nsize=3\nstride=2\npadding=0", [8, 15, 15]],
  ["[avgpool]", [8, 1, 1]],
  ["[upsample]\nstride=2", [8, 64, 64]],
  ["[reorg]\nstride=2", [32, 16, 16]],
  ["[reorg]\nstride=2\nreverse=1", [2, 64, 64]],
  ["[route]\nlayers=-1", [8, 32, 32]],
  ["[route]\nlayers=-1, 0", [16, 32, 32]],
  ["[shortcut]\nfrom=-1", [8, 32, 32]],
  ["[dropout]\nprobability=.5", [8, 32, 32]],
  ["[connected]\noutput=7\nactivation=relu", [7, 1, 1]],
  ["[cost]\ntype=sse", [8, 32, 32]],
];
for (const [layer, size] of SIZES) {
  Deno.test(`${layer.replaceAll("\n", " ")} makes ${size.join(" x ")} of 8 x 32 x 32`, () => {
    const first = "[convolutional]\nfilters=8\nsize=3\npad=1\nactivation=leaky\n";
    assert.deepEqual(plan(`${net}${first}${layer}\n`).layers.at(-1)!.output, size);
  });
}

const REFUSED: readonly [string, RegExp][] = [
  ["", /^a\.cfg: expected sections such as \[net\] and \[convolutional\], found none$/],
  ["\u0000\u0001\u0002PNG", /^a\.cfg:1: expected a section or key=value, found /],
  ["width=3\n", /^a\.cfg:1: expected a section before the first option, found "width=3"$/],
  ["[convolutional]\n", /^a\.cfg:1: expected \[net\] as the first section, found \[convolutional\]$/],
  ["[net\n", /^a\.cfg:1: expected a section such as \[net\], found "\[net"$/],
  [net, /^a\.cfg: expected layers after \[net\], found none$/],
  [
    "[net]\nwidth=1e9\nheight=32\nchannels=3\n[avgpool]\n",
    /^a\.cfg:2: \[net\]: expected width to be a whole number in 1 … 16384, found "1e9"$/,
  ],
  [
    "[net]\nwidth=1000000000\nheight=32\nchannels=3\n[avgpool]\n",
    /^a\.cfg:2: \[net\]: expected width .* found "1000000000"$/,
  ],
  [
    "[net]\nwidth=32\nheight=32\n[avgpool]\n",
    /^a\.cfg:1: \[net\]: expected channels to be a whole number in 1 … 1048576, found none$/,
  ],
  [`${net}[lstm]\noutput=3\n`, /^a\.cfg:5: \[lstm\]: expected a layer that is supported, found \[lstm\]$/],
  [
    `${net}[convolutional]\nfilters=4\nsise=3\n`,
    /^a\.cfg:7: \[convolutional\]: expected an option that is known, found sise$/,
  ],
  [
    `${net}[convolutional]\nactivation=swish\n`,
    /^a\.cfg:6: .* expected activation to be one of linear, leaky, logistic, relu, mish, found "swish"$/,
  ],
  [`${net}[convolutional]\nbinary=1\n`, /^a\.cfg:6: .* expected binary=0 \(nothing else is supported\), found "1"$/],
  [
    `${net}[convolutional]\nfilters=4\nfilters=8\n`,
    /^a\.cfg:7: expected filters once, found it with "4" on line 6 and "8"$/,
  ],
  [
    `${net}[convolutional]\nfilters=4\nsize=99\n`,
    /^a\.cfg:5: .* expected a map of 1 … 2147483648 elements, found 4 x -66 x -66/,
  ],
  [
    `${net}[convolutional]\nfilters=4\ngroups=2\n`,
    /^a\.cfg:7: .* expected groups that divide 3 and 4 channels, found 2$/,
  ],
  [
    `${net}[route]\nlayers=0\n`,
    /^a\.cfg:6: \[route\]: expected layers to name a layer before this one, layer 0, found 0$/,
  ],
  [`${net}[avgpool]\n[route]\nlayers=-2\n`, /^a\.cfg:7: .* layer 1, found -2$/],
  [`${net}[route]\n`, /^a\.cfg:5: \[route\]: expected layers, found none$/],
  [
    `${net}[avgpool]\n[upsample]\n[route]\nlayers=0,1\n`,
    /^a\.cfg:7: .* expected layers of one size, found 1 x 1 from layer 0 and 2 x 2 from layer 1$/,
  ],
  [
    `${net}[avgpool]\n[upsample]\n[shortcut]\nfrom=0\n`,
    /^a\.cfg:7: .* expected layer 0 to have the size 3 x 2 x 2, found 3 x 1 x 1$/,
  ],
  [`${net}[reorg]\nstride=3\n`, /^a\.cfg:5: \[reorg\]: expected channels that 9 divides/],
  [
    `${net}[yolo]\nclasses=2\nnum=1\nanchors=1,2\n`,
    /^a\.cfg:6: \[yolo\]: expected 7 channels for 1 anchors and 2 classes, found 3$/,
  ],
  [
    `${net}[yolo]\nclasses=2\nnum=2\nanchors=1,2\n`,
    /^a\.cfg:8: \[yolo\]: expected 2 pairs of anchors above 0, found 2 numbers$/,
  ],
  [
    `${net}[yolo]\nclasses=2\nnum=1\nmask=1\nanchors=1,2\n`,
    /^a\.cfg:8: \[yolo\]: expected a mask of anchors 0 … 0, found 1$/,
  ],
  [`${net}[yolo]\nclasses=2\nnum=1\nanchors=1,x\n`, /^a\.cfg:8: \[yolo\]: expected anchors to be a number, found "x"$/],
  [`${net}[dropout]\nprobability=1\n`, /^a\.cfg:6: \[dropout\]: expected probability in 0 … 1, found 1$/],
  [
    `${net}${"[upsample]\nstride=64\n".repeat(5)}`,
    /^a\.cfg:7: \[upsample\]: expected a map of 1 … 2147483648 elements, found 3 x 131072 x 131072/,
  ],
];
for (const [text, message] of REFUSED) {
  Deno.test(`refused in one line with its place: ${JSON.stringify(text.replace(net, "… ").slice(0, 60))}`, () => {
    assert.throws(() => plan(text), (error) => {
      assert.ok(error instanceof ModelError);
      assert.match(error.message, message);
      assert.doesNotMatch(error.message, /\n/);
      return true;
    });
  });
}

Deno.test("binary data, and a text of megabytes, are refused as no .cfg", () => {
  const binary = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0, 1, 2, 3]);
  assert.throws(
    () => parseCfg(binary, { name: "a.png" }),
    /^ModelError: a\.png: expected a \.cfg text, found binary data$/,
  );
  assert.throws(() => parseCfg(new Uint8Array(5 << 20)), /at most 4194304 bytes, found 5242880/);
});
