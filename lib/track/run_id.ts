/** Names of runs and of their settings. */

import { InputError, sha256, type YamlValue } from "../runtime/mod.ts";

/** Settings of `runId`. */
export interface RunIdOptions {
  /** What the run is about, e.g. "baseline". */
  readonly name: string;
  readonly now?: Date;
  /** Four characters that no other run of this second has. */
  readonly suffix?: string;
}

/** "20261124-081530-baseline-3f9a": time in UTC, name, and a few random digits; sorted by name is sorted by time. */
export function runId({ name, now = new Date(), suffix = crypto.randomUUID().slice(0, 4) }: RunIdOptions): string {
  const time = now.toISOString().slice(0, 19).replaceAll(/[-:]/g, "").replace("T", "-");
  const plain = name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-").replaceAll(/^-|-$/g, "").slice(0, 40);
  if (plain === "") throw new InputError(`run: expected a name with letters or digits, found "${name}"`);
  return `${time}-${plain}-${suffix}`;
}

/** SHA-256 of settings; the order of keys does not count. */
export function configHash(config: YamlValue): string {
  return sha256(JSON.stringify(sorted(config)));
}

function sorted(value: YamlValue): YamlValue {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key]!)]));
}
