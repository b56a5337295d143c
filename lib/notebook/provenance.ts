/** Where a report comes from: profile, seed, versions, commit, machine. */

import { fileURLToPath } from "node:url";
import { z } from "zod";
import { currentCommit, describeMachine, readJson } from "../runtime/mod.ts";

export interface Provenance {
  readonly profile: string;
  readonly seed: number;
  /** The commit's first 12 digits, with "+" where files were changed since; null outside a git repository. */
  readonly commit: string | null;
  readonly versions: Versions;
  /** Processor, cores, memory, system: one line. */
  readonly machine: string;
  /** When, UTC to the minute. */
  readonly date: string;
}

export interface Versions {
  readonly library: string;
  readonly deno: string;
  readonly packages: Readonly<Record<string, string>>;
}

const root = new URL("../../", import.meta.url);

/** Gathers it all. */
export async function gatherProvenance(profile: string, seed: number): Promise<Provenance> {
  const [commit, versions] = await Promise.all([currentCommit(), readVersions()]);
  const date = new Date().toISOString().slice(0, 16).replace("T", " ") + " UTC";
  return { profile, seed, commit, versions, machine: describeMachine(), date };
}

const settingsSchema = z.object({ version: z.string(), imports: z.record(z.string(), z.string()) });

/** The pinned packages of deno.json. */
async function readVersions(): Promise<Versions> {
  const settings = settingsSchema.parse(await readJson(fileURLToPath(new URL("deno.json", root))));
  const packages = Object.values(settings.imports).flatMap((specifier) => {
    const match = /^npm:\/?((?:@[^/@]+\/)?[^/@]+)@([^/]+)/.exec(specifier);
    return match ? [[match[1]!, match[2]!] as const] : [];
  });
  return { library: settings.version, deno: Deno.version.deno, packages: Object.fromEntries(packages) };
}
