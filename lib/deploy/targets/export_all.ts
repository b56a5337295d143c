/** A model as a package for every target that takes it, and why the others do not. */

import { join } from "node:path";
import type { OpenedModel } from "../../experiment/mod.ts";
import { InputError, type ProgressListener } from "../../runtime/mod.ts";
import { exportTarget, type ExportTargetOptions } from "./export_target.ts";
import { type TargetManifest, TARGETS } from "./manifest.ts";

/** A package that is not there. */
export interface RefusedTarget {
  readonly target: string;
  readonly why: string;
}

/** What `exportAllTargets` gives. */
export interface ExportedTargets {
  readonly manifests: readonly TargetManifest[];
  readonly refused: readonly RefusedTarget[];
}

/** Settings of `exportAllTargets`. */
export interface ExportAllOptions extends ExportTargetOptions {
  /** Further targets by their names, each with what writes its folder, as `exportK210` does. */
  readonly more?: Readonly<Record<string, (folder: string) => Promise<{ readonly manifest: TargetManifest }>>>;
  readonly onProgress?: ProgressListener | undefined;
}

/**
 * Writes `folder/TARGET` for each target with `exportTarget`, and what `more` adds. A target that refuses the model (InputError) is
 * listed with its reason; other errors are thrown. The same folder is written anew: what stood there is removed.
 */
export async function exportAllTargets(
  opened: OpenedModel,
  folder: string,
  { more = {}, onProgress = () => {}, ...options }: ExportAllOptions = {},
): Promise<ExportedTargets> {
  const manifests: TargetManifest[] = [], refused: RefusedTarget[] = [];
  const makers: [target: string, make: (out: string) => Promise<TargetManifest>][] = [
    ...TARGETS.map((target): typeof makers[number] => [target, (out) => exportTarget(opened, target, out, options)]),
    ...Object.entries(more).map((
      [target, make],
    ): typeof makers[number] => [target, async (out) => (await make(out)).manifest]),
  ];
  for (const [i, [target, make]] of makers.entries()) {
    onProgress({ label: "export", done: i, total: makers.length, unit: "targets", note: target });
    const out = join(folder, target);
    await Deno.remove(out, { recursive: true }).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
    try {
      manifests.push(await make(out));
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      refused.push({ target, why: error.message });
    }
  }
  onProgress({ label: "export", done: makers.length, total: makers.length, unit: "targets" });
  return { manifests, refused };
}
