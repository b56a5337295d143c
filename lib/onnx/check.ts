/** The checker: everything that is wrong with a model, as a list, before anything runs it. */

import { describeError } from "../runtime/mod.ts";
import { OnnxError } from "./errors.ts";
import type { Graph } from "./graph.ts";
import { READABLE } from "./lift.ts";
import { AttributeProto_AttributeType, type GraphProto, type ModelProto, type NodeProto } from "./proto/onnx_pb.ts";
import { decodeModel, fromModel, IR_VERSIONS } from "./read.ts";
import { operatorSpec } from "./registry.ts";
import { irVersionOf, toModel } from "./write.ts";

/** Something wrong. An "error" makes the file unusable; a "warning" is what this library cannot judge. */
export interface Problem {
  readonly severity: "error" | "warning";
  readonly kind:
    | "file"
    | "version"
    | "name"
    | "order"
    | "cycle"
    | "missing"
    | "operator"
    | "attribute"
    | "type"
    | "output";
  /** One line: place, expectation, finding. */
  readonly message: string;
}

/** Checks the bytes of an ONNX file. An empty list: nothing is wrong. Never throws for what the bytes hold. */
export function checkModel(bytes: Uint8Array, { name = "model" }: { name?: string } = {}): Problem[] {
  let model: ModelProto;
  try {
    model = decodeModel(bytes, name);
  } catch (error) {
    return [{ severity: "error", kind: "file", message: describeError(error) }];
  }
  const checker = new Checker(name, model);
  const problems = checker.run(model.graph!);
  if (problems.some(({ severity }) => severity === "error")) return problems;
  try {
    problems.push(...declaredTypes(fromModel(bytes, { name }), model.graph!, name));
  } catch (error) {
    if (!(error instanceof OnnxError)) throw error;
    problems.push({ severity: "error", kind: "type", message: error.message });
  }
  return problems;
}

/** Checks a graph in memory by way of its file. Throws OnnxError naming the first thing that is wrong. */
export function assertValid(graph: Graph, options: { opset?: number } = {}): void {
  const problem = checkModel(toModel(graph, options), { name: graph.name })
    .find(({ severity }) => severity === "error");
  if (problem) throw new OnnxError(problem.message);
}

class Checker {
  readonly #name: string;
  readonly #model: ModelProto;
  readonly #problems: Problem[] = [];
  #opset = 0;

  constructor(name: string, model: ModelProto) {
    this.#name = name;
    this.#model = model;
  }

  run(graph: GraphProto): Problem[] {
    this.#versions();
    const known = this.#names(graph);
    this.#order(graph, known);
    const domains = new Set(this.#model.opsetImport.map(({ domain }) => domain === "ai.onnx" ? "" : domain));
    for (const node of graph.node) this.#node(node, domains);
    return this.#problems;
  }

  #add(kind: Problem["kind"], message: string, severity: Problem["severity"] = "error"): void {
    this.#problems.push({ severity, kind, message: `${this.#name}: ${message}` });
  }

  #versions(): void {
    const ir = Number(this.#model.irVersion);
    if (ir < IR_VERSIONS.oldest || ir > IR_VERSIONS.newest) {
      this.#add("version", `expected an IR version in ${IR_VERSIONS.oldest} … ${IR_VERSIONS.newest}, found ${ir}`);
    }
    const seen = new Set<string>();
    for (const { domain, version } of this.#model.opsetImport) {
      const own = domain === "" || domain === "ai.onnx";
      if (seen.has(own ? "" : domain)) this.#add("version", `expected one opset a domain, found two for "${domain}"`);
      seen.add(own ? "" : domain);
      if (!own) continue;
      this.#opset = Number(version);
      if (this.#opset < READABLE.oldest || this.#opset > READABLE.newest) {
        this.#add("version", `expected an opset in ${READABLE.oldest} … ${READABLE.newest}, found ${version}`);
      } else if (ir < irVersionOf(this.#opset) && this.#opset > 11) {
        const least = irVersionOf(this.#opset);
        this.#add("version", `expected IR version ${least} or newer with opset ${version}, found ${ir}`, "warning");
      }
    }
    if (!seen.has("")) this.#add("version", "expected an opset of ONNX's own domain, found none");
  }

  /** Checks that each value is made once; returns what stands before the nodes. */
  #names(graph: GraphProto): Set<string> {
    const initialisers = new Set<string>();
    for (const { name } of graph.initializer) {
      if (name === "") this.#add("name", "expected a name for each initialiser, found an empty text");
      if (initialisers.has(name)) this.#add("name", `expected each initialiser once, found "${name}" twice`);
      initialisers.add(name);
    }
    const inputs = new Set<string>();
    for (const { name } of graph.input) {
      if (name === "") this.#add("name", "expected a name for each input, found an empty text");
      if (inputs.has(name)) this.#add("name", `expected each input once, found "${name}" twice`);
      inputs.add(name);
    }
    const known = new Set([...initialisers, ...inputs]);
    const made = new Set<string>(), nodes = new Set<string>();
    for (const node of graph.node) {
      if (node.name !== "" && nodes.has(node.name)) {
        this.#add("name", `expected different names for nodes, found "${node.name}" twice`, "warning");
      }
      nodes.add(node.name);
      for (const name of node.output) {
        if (name === "") continue;
        if (made.has(name) || known.has(name)) {
          this.#add("name", `${label(node)}: expected a new name for its output, found "${name}", which is taken`);
        }
        made.add(name);
      }
    }
    return known;
  }

  #order(graph: GraphProto, before: ReadonlySet<string>): void {
    const producer = new Map<string, NodeProto>();
    for (const node of graph.node) for (const name of node.output) if (name !== "") producer.set(name, node);
    const known = new Set(before);
    const late: NodeProto[] = [];
    for (const node of graph.node) {
      for (const name of node.input) {
        if (name === "" || known.has(name)) continue;
        if (producer.has(name)) {
          if (late.at(-1) !== node) late.push(node);
        } else {this.#add(
            "missing",
            `${label(node)}: expected an input, initialiser or node named "${name}", found none`,
          );}
      }
      for (const name of node.output) known.add(name);
    }
    const cycle = late.length > 0 ? findCycle(graph.node, producer) : undefined;
    if (cycle) this.#add("cycle", `expected no cycle, found ${cycle.map(label).join(" → ")}`);
    else for (const node of late) this.#add("order", `${label(node)}: expected to stand after the nodes that it reads`);
    if (graph.output.length === 0) this.#add("output", "expected at least one output, found none");
    const outputs = new Set<string>();
    for (const { name } of graph.output) {
      if (!known.has(name)) this.#add("output", `output "${name}": expected a value of that name, found none`);
      if (outputs.has(name)) this.#add("output", `expected each output once, found "${name}" twice`);
      outputs.add(name);
    }
  }

  #node(node: NodeProto, domains: ReadonlySet<string>): void {
    const domain = node.domain === "ai.onnx" ? "" : node.domain;
    if (node.opType === "") return this.#add("operator", `${label(node)}: expected an operator's name, found none`);
    if (!domains.has(domain)) {
      return this.#add("operator", `${label(node)}: expected an opset for its domain "${domain}", found none`);
    }
    const attributes = new Set<string>();
    for (const { name } of node.attribute) {
      if (attributes.has(name)) this.#add("attribute", `${label(node)}: expected ${name} once, found it twice`);
      attributes.add(name);
    }
    const spec = operatorSpec(node.opType, domain);
    if (!spec) {
      const old = domain === "" && this.#opset < 11 && ["Upsample", "Scatter"].includes(node.opType);
      const found = `${label(node)}: expected an operator that is known, found ${node.opType} of domain "${domain}"`;
      if (!old) this.#add("operator", found, "warning");
      return;
    }
    if (domain === "" && spec.since > Math.max(this.#opset, 17)) {
      this.#add("operator", `${label(node)}: expected opset ${spec.since} or newer, found ${this.#opset}`);
    }
    if (this.#opset < 13 || this.#opset > 17) return; // other opsets have other attributes; reading checks them
    for (const { name, type } of node.attribute) {
      const expected = spec.attributes[name]?.kind;
      const found = AttributeProto_AttributeType[type]?.toLowerCase();
      if (expected === undefined) {
        const known = Object.keys(spec.attributes).join(", ") || "none";
        this.#add("attribute", `${label(node)}: expected one of the attributes ${known}, found ${name}`);
      } else if (expected !== found) {
        this.#add("attribute", `${label(node)}: expected attribute ${name} of kind ${expected}, found ${found}`);
      }
    }
    for (const [name, { required }] of Object.entries(spec.attributes)) {
      if (required && !attributes.has(name)) {
        this.#add("attribute", `${label(node)}: expected attribute ${name}, found none`);
      }
    }
  }
}

/** Outputs and inner values whose declared type or sizes are not those inferred. */
function* declaredTypes(graph: Graph, proto: GraphProto, name: string): Generator<Problem> {
  for (const info of [...proto.output, ...proto.valueInfo]) {
    const type = info.type?.value;
    const inferred = graph.values.get(info.name)?.type?.shape;
    if (type?.case !== "tensorType" || !type.value.shape || !inferred) continue;
    const declared = type.value.shape.dim.map(({ value }) => value.case === "dimValue" ? Number(value.value) : "?");
    const differs = declared.length !== inferred.length ||
      declared.some((dim, i) => typeof dim === "number" && typeof inferred[i] === "number" && dim !== inferred[i]);
    if (differs) {
      yield {
        severity: "error",
        kind: "type",
        message: `${name}: "${info.name}": expected the inferred shape [${inferred.join(", ")}], found [${
          declared.join(", ")
        }] declared`,
      };
    }
  }
}

/** A cycle among nodes, its first node repeated at the end, or undefined. Iterative: a chain may be very long. */
function findCycle(nodes: readonly NodeProto[], producer: ReadonlyMap<string, NodeProto>): NodeProto[] | undefined {
  const state = new Map<NodeProto, "open" | "done">();
  for (const start of nodes) {
    if (state.has(start)) continue;
    const path: { node: NodeProto; next: number }[] = [{ node: start, next: 0 }];
    state.set(start, "open");
    while (path.length > 0) {
      const top = path.at(-1)!;
      if (top.next >= top.node.input.length) {
        state.set(top.node, "done");
        path.pop();
        continue;
      }
      const before = producer.get(top.node.input[top.next++]!);
      if (!before || state.get(before) === "done") continue;
      if (state.get(before) === "open") {
        const at = path.findIndex(({ node }) => node === before);
        return [...path.slice(at).map(({ node }) => node), before].reverse().slice(0, 12);
      }
      state.set(before, "open");
      path.push({ node: before, next: 0 });
    }
  }
  return undefined;
}

function label(node: NodeProto): string {
  return `${node.opType} "${node.name || node.output[0] || ""}"`;
}
