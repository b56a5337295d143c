/** Transforms by name: from plain data (a YAML file, a message to a worker) back to a transform. */

import { InputError } from "../../runtime/mod.ts";
import { defocus, jpeg, motionBlur, noise, resolution } from "./camera.ts";
import { background, lighting, plain, shadow } from "./environment.ts";
import { flip, perspective, rotation, scale, shear, translation } from "./geometric.ts";
import { mixup, mosaic } from "./mixing.ts";
import { erasing, occlusion } from "./occlusion.ts";
import { brightness, contrast, gamma, hue, saturation } from "./photometric.ts";
import { scene } from "./scene.ts";
import { chain, oneOf, sometimes, type Transform, type TransformSpec, unchanged } from "./transform.ts";

/** Every transform with options of its own. Called without options, each takes its defaults. */
export const transforms = {
  ...{ flip, rotation, scale, translation, shear, perspective },
  ...{ brightness, contrast, saturation, hue, gamma },
  ...{ background, plain, lighting, shadow },
  ...{ motionBlur, defocus, noise, resolution, jpeg, occlusion, erasing },
  ...{ mosaic, mixup, scene, unchanged },
} as const;
export type TransformName = keyof typeof transforms;

/**
 * The transform that a description stands for: `{name, options}` with any options left out at their defaults, nested for
 * `chain`, `oneOf` (`{transforms: […]}`) and `sometimes` (`{probability, transform}`).
 * Throws InputError for an unknown name or option, or a value of the wrong type.
 */
export function reviveTransform(spec: unknown): Transform {
  if (!isRecord(spec) || typeof spec["name"] !== "string") {
    throw new InputError(`augmentation: expected {name, options}, found ${show(spec)}`);
  }
  const name = spec["name"], options = spec["options"] ?? {};
  const extra = Object.keys(spec).find((key) => key !== "name" && key !== "options");
  if (extra) throw new InputError(`augmentation ${name}: expected name and options, found "${extra}"`);
  if (!isRecord(options)) {
    throw new InputError(`augmentation ${name}: expected a map of options, found ${show(options)}`);
  }
  if (name === "chain" || name === "oneOf") {
    const { transforms: members, ...others } = options;
    if (!Array.isArray(members) || Object.keys(others).length || (name === "oneOf" && members.length === 0)) {
      throw new InputError(`augmentation ${name}: expected {transforms: […]}, found ${show(options)}`);
    }
    return (name === "chain" ? chain : oneOf)(...members.map(reviveTransform));
  }
  if (name === "sometimes") {
    const { probability, transform, ...others } = options;
    if (typeof probability !== "number" || !(probability >= 0 && probability <= 1) || Object.keys(others).length) {
      throw new InputError(`augmentation sometimes: expected {probability: 0 … 1, transform}, found ${show(options)}`);
    }
    return sometimes(probability, reviveTransform(transform));
  }
  if (!Object.hasOwn(transforms, name)) {
    const known = [...Object.keys(transforms), "chain", "oneOf", "sometimes"].join(", ");
    throw new InputError(`augmentation: expected one of ${known}, found "${name}"`);
  }
  const make = transforms[name as TransformName] as (options?: Record<string, unknown>) => Transform;
  checkOptions(name, make().options, options);
  try {
    return make(options);
  } catch (error) {
    throw new InputError(`augmentation ${(error as Error).message}`, { cause: error });
  }
}

function checkOptions(name: string, defaults: TransformSpec["options"], options: Record<string, unknown>): void {
  for (const [key, value] of Object.entries(options)) {
    if (!Object.hasOwn(defaults, key)) {
      const known = Object.keys(defaults).join(", ") || "no options";
      throw new InputError(`augmentation ${name}: expected ${known}, found "${key}"`);
    }
    const expected = kind(defaults[key]);
    if (kind(value) !== expected || (typeof value === "number" && !Number.isFinite(value))) {
      throw new InputError(`augmentation ${name}: ${key}: expected a ${expected}, found ${show(value)}`);
    }
  }
}

function kind(value: unknown): string {
  return Array.isArray(value) ? "list" : typeof value;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 80 ? text.slice(0, 79) + "…" : text;
}
