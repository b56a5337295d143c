/** The forms in which a model can be given away: the same network, its numbers kept or computed otherwise. */

import { compactWeights, copyGraph, type Graph, toModel } from "../../onnx/mod.ts";
import type { Calibration } from "../quantize/calibrate.ts";
import { prepareForQuantization } from "../quantize/prepare.ts";
import { type QuantizeOptions, quantizePrepared } from "../quantize/quantize_static.ts";

/**
 * As the package has it; float32; weights kept as float16 or as int8 and turned back when the file is opened, so that computing is in
 * float32; and int8 throughout.
 */
export const FORMS = ["as it ships", "float32", "float16 weights", "int8 weights", "int8"] as const;

/** See `FORMS`. */
export type FormName = typeof FORMS[number];

/** A model in one form. */
export interface DeployedForm {
  readonly form: FormName;
  readonly model: Uint8Array<ArrayBuffer>;
  /** How it computes, whatever its weights are kept as. */
  readonly computes: "float" | "int8";
}

/** What `deployedForms` gives. */
export interface DeployedForms {
  /** Folded, with float32 weights: what all forms but the package's own are made of. */
  readonly prepared: Graph;
  readonly forms: readonly DeployedForm[];
}

/**
 * Makes the forms asked for, in the order of `FORMS`: "as it ships" where `shipped` gives the file's bytes, "int8" where there is a
 * calibration. Weights that a package keeps in fewer bytes are turned back for the others: their float32 is what those hold.
 */
export async function deployedForms(
  source: Graph,
  { forms = FORMS, shipped, calibration, quantize }: {
    readonly forms?: readonly FormName[];
    readonly shipped?: Uint8Array<ArrayBuffer> | undefined;
    readonly calibration?: Calibration | undefined;
    readonly quantize?: QuantizeOptions | undefined;
  } = {},
): Promise<DeployedForms> {
  const prepared = await prepareForQuantization(source);
  const kept = (storage: "float16" | "int8") => {
    const graph = copyGraph(prepared);
    compactWeights(graph, storage);
    return toModel(graph);
  };
  const makers: Readonly<Record<FormName, () => Uint8Array<ArrayBuffer> | undefined>> = {
    "as it ships": () => shipped,
    "float32": () => toModel(prepared),
    "float16 weights": () => kept("float16"),
    "int8 weights": () => kept("int8"),
    "int8": () => calibration && toModel(quantizePrepared(prepared, calibration, quantize)),
  };
  return {
    prepared,
    forms: FORMS.filter((form) => forms.includes(form)).flatMap((form) => {
      const model = makers[form]();
      return model ? [{ form, model, computes: form === "int8" ? "int8" as const : "float" as const }] : [];
    }),
  };
}
