/** `deno task import:darknet CFG WEIGHTS OUT.onnx`: a Darknet network as an ONNX file. */

import { importDarknet } from "../lib/models/mod.ts";
import { assertValid, toFile } from "../lib/onnx/mod.ts";
import { InputError, integerFlag, Random, reason, runCommand } from "../lib/runtime/mod.ts";

/** The largest file that ONNX's own format can hold. */
const LARGEST = 2 ** 31;

async function read(path: string, what: string): Promise<Uint8Array> {
  try {
    const { size } = await Deno.stat(path);
    if (size > LARGEST) throw new InputError(`${path}: expected ${what} of at most ${LARGEST} bytes, found ${size}`);
    return await Deno.readFile(path);
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError(`${path}: expected ${what}, found ${reason(error)}`, { cause: error });
  }
}

await runCommand({
  usage: "deno task import:darknet",
  about:
    "Writes a Darknet network as ONNX: one output for each [yolo] or [region] layer, or for the last layer, in Darknet's " +
    "layout [N, anchors · (5 + classes), rows, columns] and after its activation. The input is images [N, 3, height, width], " +
    "red, green, blue in 0 … 1.",
  operands: "CFG WEIGHTS OUT.onnx",
  flags: {
    raw: { type: "boolean", help: "outputs before their activation, for training" },
    fold: { type: "boolean", help: "fold batch normalisation into the convolutions" },
    partial: { type: "boolean", help: "take weights of the first layers only; the rest start at random" },
    classes: { type: "string", value: "N", help: "another number of classes: the last convolutions start at random" },
    size: { type: "string", value: "PIXELS", help: "side of the input, in place of the cfg's width and height" },
    seed: { type: "string", value: "N", default: "0", help: "of what starts at random" },
  },
  async run({ raw, fold, partial, classes, size, seed }, operands) {
    const [cfg, weights, out, ...more] = operands;
    if (!cfg || !weights || !out || more.length > 0) {
      throw new InputError(`import:darknet: expected CFG WEIGHTS OUT.onnx, found ${operands.join(" ") || "nothing"}`);
    }
    const imported = importDarknet({
      cfg: await read(cfg, "a .cfg file"),
      cfgName: cfg,
      weights: await read(weights, "a .weights file"),
      weightsName: weights,
      activated: !raw,
      fold,
      partial,
      ...(classes === undefined ? {} : { classes: integerFlag("classes", classes, 1, 1 << 20) }),
      ...(size === undefined ? {} : { size: integerFlag("size", size, 1, 16384) }),
      ...(partial || classes !== undefined
        ? { random: Random.seeded("import:darknet", integerFlag("seed", seed, 0)) }
        : {}),
    });
    const { graph, heads, header, layers, numbers, parameters } = imported;
    if (numbers < 1e6) assertValid(graph);
    await toFile(graph, out).catch((error) => {
      if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied) {
        throw new InputError(`${out}: expected a place to write to, found ${reason(error)}`, { cause: error });
      }
      throw error;
    });
    const outputs = graph.outputs.map(({ name, shape }) => {
      const head = heads.find(({ output }) => output === name);
      return {
        name,
        shape,
        ...(head ? { kind: head.kind, classes: head.classes, stride: head.stride, anchors: head.anchors } : {}),
      };
    });
    console.error(
      `${out}: ${outputs.map(({ name, shape }) => `${name} [${shape.join(", ")}]`).join(", ")}; ${
        parameters.toLocaleString("en")
      } parameters; ${layers.loaded} of ${layers.all} layers loaded; ${header?.seen ?? 0} pictures seen`,
    );
    return {
      out,
      inputs: graph.inputs.map(({ name, shape }) => ({ name, shape })),
      outputs,
      activated: !raw,
      parameters,
      numbers,
      layers,
      version: header && `${header.major}.${header.minor}.${header.revision}`,
      seen: Number(header?.seen ?? 0n),
    };
  },
});
