/** The checker: nothing to say about good models, the right thing about broken ones. */

import assert from "node:assert/strict";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { checkModel, type Problem } from "./check.ts";
import { type ModelProto, ModelProtoSchema } from "./proto/onnx_pb.ts";
import { sampleCnn, sampleTransformer } from "./samples.ts";
import { toModel } from "./write.ts";

function problems(change: (model: ModelProto) => void): Problem[] {
  const model = fromBinary(ModelProtoSchema, toModel(sampleCnn()));
  change(model);
  return checkModel(toBinary(ModelProtoSchema, model), { name: "m" });
}

Deno.test("good models have no problems at any opset", () => {
  for (const graph of [sampleCnn(), sampleTransformer()]) {
    for (const opset of [12, 13, 17, 18, 21, 22]) {
      assert.deepEqual(checkModel(toModel(graph, { opset, valueInfo: true })), []);
    }
  }
});

const BROKEN: readonly [string, Problem["kind"], RegExp, (model: ModelProto) => void][] = [
  ["an opset too new", "version", /opset in 7 … 24, found 40$/, (m) => m.opsetImport[0]!.version = 40n],
  ["an opset too old", "version", /opset in 7 … 24, found 3$/, (m) => m.opsetImport[0]!.version = 3n],
  ["an IR version too new", "version", /IR version in 3 … 13, found 99$/, (m) => m.irVersion = 99n],
  [
    "an IR version older than the opset",
    "version",
    /IR version 8 or newer with opset 17, found 4$/,
    (m) => m.irVersion = 4n,
  ],
  ["two opsets of a domain", "version", /one opset a domain, found two for "ai.onnx"$/, (m) => {
    m.opsetImport.push({ ...m.opsetImport[0]!, domain: "ai.onnx" });
  }],
  ["an initialiser twice", "name", /each initialiser once, found "stem\/weight" twice$/, ({ graph }) => {
    graph!.initializer.push(graph!.initializer[0]!);
  }],
  [
    "an output name that is taken",
    "name",
    /a new name for its output, found "stem\/weight", which is taken$/,
    ({ graph }) => {
      graph!.node[1]!.output[0] = "stem/weight";
    },
  ],
  [
    "a missing initialiser",
    "missing",
    /Conv "stem\/conv": expected an input, initialiser or node named "stem\/weight", found none$/,
    ({ graph }) => {
      graph!.initializer.shift();
    },
  ],
  [
    "a cycle",
    "cycle",
    /expected no cycle, found Conv "stem\/conv" → BatchNormalization "[^"]+" → Conv "stem\/conv"$/,
    ({ graph }) => {
      graph!.node[0]!.input[0] = graph!.node[1]!.output[0]!;
    },
  ],
  [
    "nodes out of order",
    "order",
    /BatchNormalization "[^"]+": expected to stand after the nodes that it reads$/,
    ({ graph }) => {
      graph!.node.splice(0, 2, graph!.node[1]!, graph!.node[0]!);
    },
  ],
  [
    "an attribute of another operator",
    "attribute",
    /Conv "stem\/conv": expected one of the attributes auto_pad.*, found alpha$/,
    ({ graph }) => {
      graph!.node[0]!.attribute[0]!.name = "alpha";
    },
  ],
  ["an attribute of the wrong kind", "attribute", /expected attribute pads of kind ints, found float$/, ({ graph }) => {
    graph!.node[0]!.attribute[0]!.type = 1;
  }],
  [
    "a required attribute left out",
    "attribute",
    /MaxPool "[^"]+": expected attribute kernel_shape, found none$/,
    ({ graph }) => {
      const pool = graph!.node.find(({ opType }) => opType === "MaxPool")!;
      pool.attribute = pool.attribute.filter(({ name }) => name !== "kernel_shape");
    },
  ],
  [
    "an operator that nobody knows",
    "operator",
    /expected an operator that is known, found Convolve of domain ""$/,
    ({ graph }) => {
      graph!.node[0]!.opType = "Convolve";
    },
  ],
  [
    "a domain without an opset",
    "operator",
    /expected an opset for its domain "com.example", found none$/,
    ({ graph }) => {
      graph!.node[0]!.domain = "com.example";
    },
  ],
  [
    "types that do not go together",
    "type",
    /Conv "stem\/conv": expected w "stem\/weight" \[8, 3, 3, 3\] to have the element type of x/,
    ({ graph }) => {
      graph!.input[0]!.type!.value.value = { ...graph!.input[0]!.type!.value.value!, elemType: 11 } as never;
    },
  ],
  [
    "a wrong declared shape",
    "type",
    /"logits": expected the inferred shape \[N, 5\], found \[\?, 6\] declared$/,
    ({ graph }) => {
      const type = graph!.output[0]!.type!.value;
      if (type.case === "tensorType") type.value.shape!.dim[1]!.value = { case: "dimValue", value: 6n };
    },
  ],
  [
    "an output that nothing computes",
    "output",
    /output "nothing": expected a value of that name, found none$/,
    ({ graph }) => {
      graph!.output[0]!.name = "nothing";
    },
  ],
];

for (const [name, kind, message, change] of BROKEN) {
  Deno.test(`the checker finds ${name}`, () => {
    const found = problems(change);
    const fitting = found.filter((problem) => problem.kind === kind && message.test(problem.message));
    assert.equal(fitting.length, 1, JSON.stringify(found, null, 1));
    for (const problem of found) assert.match(problem.message, /^m: [^\n]+$/);
  });
}

Deno.test("bytes that are no model are one problem", () => {
  const found = checkModel(new Uint8Array([255, 255, 255]));
  assert.deepEqual(found.map(({ severity, kind }) => [severity, kind]), [["error", "file"]]);
});
