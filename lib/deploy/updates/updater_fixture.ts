/** For tests: a device, a publisher with a key, and a server whose answers go wrong on demand. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { type TargetFile, writeTarget } from "../targets/manifest.ts";
import {
  install as installPackage,
  RUNNER_VERSION,
  runTrial,
  update as updatePackage,
} from "../targets/assets/rpi/updater.mjs";
import { type SigningKey, writeNewKey } from "./keys.ts";
import { selfTest, work } from "./updater_child.ts";

const folder = await Deno.makeTempDir({ prefix: "pokedex_updates_" });
/** The publisher's key, and somebody else's. */
export const key = await writeNewKey(join(folder, "key.pem"));
export const otherKey = await writeNewKey(join(folder, "other.pem"));

/** Files of the published folder, and what is to go wrong with the next answers for a path. */
export const served = new Map<string, Uint8Array>();
export const faults: { path: string; answer: (content: Uint8Array, range: number) => Response }[] = [];
export const ranges: string[] = [];
const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, (request) => {
  const path = new URL(request.url).pathname.slice(1), content = served.get(path);
  const asked = request.headers.get("range"), from = Number(/bytes=(\d+)-/.exec(asked ?? "")?.[1] ?? 0);
  if (asked) ranges.push(`${path} ${asked}`);
  if (!content) return new Response("none", { status: 404 });
  const fault = faults.findIndex((each) => each.path === path);
  if (fault >= 0) return faults.splice(fault, 1)[0]!.answer(content, from);
  return from > 0 ? partial(content, from) : new Response(content.slice());
});
const url = `http://127.0.0.1:${server.addr.port}/`;

/** Ends the server and removes all folders. */
export async function endFixture(): Promise<void> {
  await server.shutdown();
  await Deno.remove(folder, { recursive: true });
}

/** The bytes from a place on, under a header that says the same or another. */
export function partial(content: Uint8Array, from: number, said = from): Response {
  const headers = { "content-range": `bytes ${said}-${content.length - 1}/${content.length}` };
  return new Response(content.slice(from), { status: 206, headers });
}

/** An answer that ends too early. */
export function brokenOff(content: Uint8Array, from: number, after: number): Response {
  const answer = partial(content, from);
  const body = content.slice(from, from + after);
  return from > 0 ? new Response(body, answer) : new Response(body);
}

/** A release of the small model. */
export interface Release {
  readonly version: number;
  readonly says?: string;
  readonly rollout?: number;
  readonly minimum?: number;
  readonly signedBy?: SigningKey;
  readonly model?: string;
}

let packages = 0;

/** A package with a small text for a model; it says on each line what the version does. */
export async function makePackage(
  { version, says = "works", rollout = 1, minimum = RUNNER_VERSION, signedBy = key, model = "tiny" }: Release,
): Promise<string> {
  const to = join(folder, `package-${packages++}`);
  const files: TargetFile[] = [
    { path: "model.onnx", content: `version ${version} ${says}\n`.repeat(200), update: true },
    { path: "classes.txt", content: "Bulbasaur\n", update: true },
    { path: "parts/more.txt", content: `${version}\n`, update: true },
    { path: "runner.mjs", content: "// not brought by an update\n" },
    { path: "update.json", content: JSON.stringify({ target: "rpi", model: "tiny", url, publicKey: key.publicKey }) },
  ];
  const facts = { target: "rpi", created: "2026-01-01", source: { sha256: "0".repeat(64) } } as const;
  await writeTarget(to, { ...facts, model, version, rollout, runner: { minimum }, files, key: signedBy });
  return to;
}

/** Puts a release at the URL, in place of the one before. */
export async function publish(release: Release): Promise<void> {
  served.clear();
  faults.length = ranges.length = 0;
  const from = await makePackage(release);
  for (const path of ["manifest.json", "manifest.sig", "model.onnx", "classes.txt", "parts/more.txt"]) {
    served.set(path, await Deno.readFile(join(from, path)));
  }
}

/** A device on which version 1 is installed and confirmed. */
export async function device(): Promise<string> {
  const root = await makePackage({ version: 1 });
  assert.deepEqual(await installPackage(root, { selfTest }), { status: "installed", version: 1 });
  return root;
}

/** One update, as the device's timer starts it. */
export const update = (root: string, stallMs = 30_000) => updatePackage(root, { selfTest, stallMs });
/** The first line of what the version in use says. */
export const run = async (root: string) => (await runTrial(root, work) as string).split("\n")[0];
/** What is in use. */
export const link = (root: string) => Deno.readLink(join(root, "current"));
