#!/usr/bin/env node
/**
 * Signed updates: node updater.mjs install | update | status | rollback, in the package's folder.
 *
 * FOLDER/versions/N holds a version, the link FOLDER/current names the one in use, FOLDER/state.json says what is known of them.
 * Whatever ends this process, and whenever, `recover` finds a version that works: each change is one rename.
 */

import { createHash, createPublicKey, randomUUID, verify } from "node:crypto";
import { spawn } from "node:child_process";
import { existsSync, realpathSync } from "node:fs";
import {
  copyFile,
  link,
  mkdir,
  open,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  statfs,
  symlink,
  writeFile,
} from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** What a manifest's `runner.minimum` is compared with: one more whenever a package needs something new of these files. */
export const RUNNER_VERSION = 1;

/** A new version whose first run was broken off so often, by a power cut or a crash, is not tried again. */
const FIRST_RUNS = 2;
const ATTEMPTS = 5, STALL_MS = 30_000, SELF_TEST_MS = 300_000, LONGEST_MANIFEST = 2 ** 20;

/** @type {(step: string) => void} */
const quiet = () => {};
const folderOf = (root, version) => join(root, "versions", String(version));

/** The signed manifest of a version. Throws for another key's signature and for what is no manifest of a package. */
export function verifiedManifest(bytes, signature, publicKey) {
  const key = createPublicKey({ key: Buffer.from(publicKey, "base64"), format: "der", type: "spki" });
  if (!verify(null, bytes, key, Buffer.from(signature.trim(), "base64"))) {
    throw new Error("manifest.json: expected a signature by the key in update.json, found another");
  }
  return parseManifest(bytes);
}

function parseManifest(bytes) {
  const manifest = JSON.parse(new TextDecoder().decode(bytes));
  const whole = (value) => Number.isSafeInteger(value) && value >= 0;
  const safe = ({ path, bytes, sha256 }) =>
    /^[\w-][\w.-]*(\/[\w-][\w.-]*)*$/.test(path) && whole(bytes) && /^[0-9a-f]{64}$/.test(sha256);
  if (
    manifest.format !== "pokedex-target-1" || !whole(manifest.version) || manifest.version < 1 ||
    !whole(manifest.runner?.minimum) || !(manifest.rollout >= 0 && manifest.rollout <= 1) ||
    !Array.isArray(manifest.files) || !manifest.files.every(safe)
  ) throw new Error("manifest.json: expected a manifest of the form pokedex-target-1, found another document");
  return manifest;
}

/** Where in 0 … 1 a device stands for a version; it takes the version where this is below the manifest's share. */
export function rolloutPlace(model, version, device) {
  return createHash("sha256").update(`${model}\n${version}\n${device}`).digest().readUIntBE(0, 6) / 2 ** 48;
}

/** Makes a version of the package's own files. The first one is trusted once its self-test passes. */
export async function install(root, { selfTest = ownSelfTest, onStep = quiet } = {}) {
  return await locked(root, async () => {
    const bytes = await readFile(join(root, "manifest.json")), manifest = parseManifest(bytes);
    const { version } = manifest, state = await readState(root);
    if (state && version < state.highest) {
      throw new Error(`manifest.json: expected version ${state.highest} or later, found ${version}`);
    }
    if (state && [state.confirmed, state.trial?.version].includes(version)) {
      return { status: "installed already", version };
    }
    await stage(root, manifest, bytes, undefined, (file, to) => copyFile(join(root, file.path), to), onStep);
    await selfTest(folderOf(root, version), root);
    onStep("self-test passed");
    const kept = state ?? { previous: null, bad: [] };
    await writeState(root, {
      ...kept,
      confirmed: version,
      previous: state?.confirmed ?? null,
      highest: version,
      trial: null,
      bad: kept.bad.filter((each) => each !== version),
    });
    onStep("state written");
    await switchTo(root, version, onStep);
    return { status: "installed", version };
  });
}

/** Fetches the published version where it is new, tests it and switches to it. Throws where it is not to be trusted. */
export async function update(root, { selfTest = ownSelfTest, onStep = quiet, url, stallMs = STALL_MS } = {}) {
  const settings = JSON.parse(await readFile(join(root, "update.json"), "utf8"));
  const from = (url ?? settings.url ?? "").replace(/\/*$/, "/");
  if (!settings.publicKey) {
    throw new Error("update.json: expected a public key, found none: the package was not signed");
  }
  if (!/^https?:/.test(from)) throw new Error(`update.json: expected a URL of http or https, found "${from}"`);
  return await locked(root, async () => {
    if (!(await readState(root))) {
      throw new Error('state.json: expected an installed package; run "node updater.mjs install"');
    }
    await recover(root);
    const state = await readState(root);
    const bytes = await fetchBytes(`${from}manifest.json`, stallMs);
    const signature = new TextDecoder().decode(await fetchBytes(`${from}manifest.sig`, stallMs));
    const manifest = verifiedManifest(bytes, signature, settings.publicKey), { version } = manifest;
    onStep("manifest verified");
    if (manifest.target !== settings.target || manifest.model !== settings.model) {
      const own = `${settings.model} for ${settings.target}`;
      throw new Error(`manifest.json: expected ${own}, found ${manifest.model} for ${manifest.target}`);
    }
    if (version < state.highest) {
      throw new Error(
        `manifest.json: expected version ${state.highest} or later, found ${version}: no older one is taken`,
      );
    }
    if (state.bad.includes(version)) return { status: "failed before", version };
    if (version === state.confirmed || version === state.trial?.version) return { status: "current", version };
    if (manifest.runner.minimum > RUNNER_VERSION) {
      const needed = `runner ${manifest.runner.minimum}`;
      throw new Error(
        `manifest.json: version ${version} needs ${needed}, found ${RUNNER_VERSION}; copy a new package here`,
      );
    }
    if (rolloutPlace(manifest.model, version, await deviceId(root)) >= manifest.rollout) {
      return { status: "waiting for its share", version };
    }
    await stage(
      root,
      manifest,
      bytes,
      signature,
      (file, to) => download(from + file.path, to, file, { onStep, stallMs }),
      onStep,
    );
    try {
      await selfTest(folderOf(root, version), root);
    } catch (error) {
      await writeState(root, { ...state, highest: version, bad: [...state.bad, version] });
      onStep("marked as bad");
      await rm(folderOf(root, version), { recursive: true, force: true });
      throw new Error(`version ${version}: the self-test failed, ${state.confirmed} stays: ${error.message}`);
    }
    onStep("self-test passed");
    await writeState(root, { ...state, highest: version, trial: { version, attempts: 0 } });
    onStep("trial written");
    await switchTo(root, version, onStep);
    return { status: "updated", version };
  });
}

/** Puts a version's files, checked, where they belong; what is there already is kept. `bring` makes one file. */
async function stage(root, manifest, bytes, signature, bring, onStep) {
  const { version, files } = manifest,
    place = folderOf(root, version),
    staging = join(root, "staging", String(version));
  const before = await readFile(join(place, "manifest.json")).catch(() => undefined);
  const wanted = files.filter((file) => file.update);
  if (before && bytes.equals(before)) {
    if ((await Promise.all(wanted.map((file) => isWhole(join(place, file.path), file)))).every(Boolean)) return;
  }
  for (const name of await readdir(join(root, "staging")).catch(() => [])) {
    if (name !== String(version)) await rm(join(root, "staging", name), { recursive: true, force: true });
  }
  await mkdir(staging, { recursive: true });
  const missing = wanted.reduce((sum, file) => sum + file.bytes, 0);
  const { bavail, bsize } = await statfs(staging);
  if (bavail * bsize < missing) throw new Error(`${staging}: expected ${missing} free bytes, found ${bavail * bsize}`);
  for (const file of wanted) {
    const to = join(staging, file.path);
    await mkdir(dirname(to), { recursive: true });
    if (!(await isWhole(to, file))) {
      await bring(file, to);
      if (!(await isWhole(to, file))) {
        throw new Error(`${file.path}: expected the file that the manifest names, found another`);
      }
      await flush(to);
    }
    onStep(`file ${file.path}`);
  }
  await writeDurable(join(staging, "manifest.json"), bytes);
  if (signature !== undefined) await writeDurable(join(staging, "manifest.sig"), signature);
  await mkdir(join(root, "versions"), { recursive: true });
  await rm(place, { recursive: true, force: true }); // another content under this number, or a damaged one: never in use
  onStep("staged");
  await rename(staging, place);
  await flush(join(root, "versions"));
  onStep("version in place");
}

/** Downloads a file, going on from PATH.part; leaves it under its name only when size and hash are right. */
export async function download(url, path, { bytes, sha256 }, { onStep = quiet, stallMs = STALL_MS } = {}) {
  const part = `${path}.part`;
  let problem = "";
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const from = (await stat(part).catch(() => undefined))?.size ?? 0;
    try {
      if (from < bytes) await fetchInto(part, url, from, bytes, stallMs);
    } catch (error) {
      problem = error.message;
      if (error.restart) await rm(part, { force: true });
      continue;
    }
    onStep(`downloaded ${path.slice(path.lastIndexOf("/") + 1)}`);
    if (await isWhole(part, { bytes, sha256 })) {
      await rename(part, path);
      return;
    }
    problem = `expected ${bytes} bytes with SHA-256 ${sha256.slice(0, 12)}…, found others`;
    await rm(part, { force: true });
    if (from === 0) break; // whole from this server, and wrong
  }
  throw new Error(`${url}: ${problem}`);
}

async function fetchInto(part, url, from, bytes, stallMs) {
  const abort = new AbortController();
  let timer = setTimeout(() => abort.abort(), stallMs);
  const file = await open(part, "a");
  try {
    const headers = { "accept-encoding": "identity", ...from > 0 ? { range: `bytes=${from}-` } : {} };
    const response = await fetch(url, { headers, signal: abort.signal });
    if (response.status === 200) await file.truncate(0);
    else if (response.status !== 206 || !response.headers.get("content-range")?.startsWith(`bytes ${from}-`)) {
      await response.body?.cancel();
      const found = `${response.status} ${response.headers.get("content-range") ?? ""}`.trim();
      throw Object.assign(new Error(`expected the bytes from ${from}, found ${found}`), { restart: from > 0 });
    }
    let size = response.status === 200 ? 0 : from;
    for await (const chunk of response.body) {
      clearTimeout(timer);
      timer = setTimeout(() => abort.abort(), stallMs);
      size += chunk.length;
      if (size > bytes) {
        throw Object.assign(new Error(`expected ${bytes} bytes, found more`), { restart: true });
      }
      await file.write(chunk);
    }
    if (size < bytes) throw new Error(`expected ${bytes} bytes, found ${size}: broken off`);
    await file.sync();
  } finally {
    clearTimeout(timer);
    await file.close();
  }
}

async function fetchBytes(url, stallMs) {
  const response = await fetch(url, { signal: AbortSignal.timeout(stallMs) });
  if (!response.ok) throw new Error(`${url}: expected a file, found status ${response.status}`);
  const parts = [];
  let size = 0;
  for await (const chunk of response.body) {
    parts.push(chunk);
    size += chunk.length;
    if (size > LONGEST_MANIFEST) throw new Error(`${url}: expected at most ${LONGEST_MANIFEST} bytes, found more`);
  }
  return Buffer.concat(parts);
}

/**
 * Runs `work(folder, confirm)` on the version in use. The first run of a new version confirms it by calling `confirm`; where it
 * throws before that, the last good version takes over, and the same work is done by it.
 */
export async function runTrial(root, work, { onStep = quiet } = {}) {
  const state = await readState(root);
  if (!state) return await work(root, quiet);
  const settled = state.trial === null && await currentVersion(root) === state.confirmed;
  // Where an update is at work, or this user may not write here, the version that is known to work does it.
  const known = (error) => {
    if (!error.busy && !["EACCES", "EPERM", "EROFS"].includes(error.code)) throw error;
    return { version: state.confirmed, onTrial: false };
  };
  const { version, onTrial } = settled
    ? { version: state.confirmed, onTrial: false }
    : await locked(root, () => recover(root, { counting: true, onStep })).catch(known);
  let confirmed = !onTrial;
  try {
    return await work(folderOf(root, version), async () => {
      if (confirmed) return;
      confirmed = true;
      await locked(root, () => confirm(root, version, onStep)).catch((error) => {
        if (!error.busy) throw error; // the next run confirms it
      });
    });
  } catch (error) {
    if (confirmed) throw error;
    console.error(`version ${version}: the first run failed, the last good one takes over: ${error.message}`);
    const back = await locked(root, () => rollBack(root, onStep)).catch((failure) => known(failure).version);
    return await work(folderOf(root, back), quiet);
  }
}

/**
 * Makes `current` name a version that may run: the confirmed one, or the one on trial. Finishes what a killed process left.
 * With `counting` a run begins: a version on trial whose first runs were broken off is given up.
 */
export async function recover(root, { counting = false, onStep = quiet } = {}) {
  let state = await readState(root);
  const current = await currentVersion(root);
  if (state.trial && state.trial.version !== current) { // killed before the switch: the next update tries again
    state = { ...state, trial: null };
    await writeState(root, state);
    onStep("trial dropped");
  }
  if (state.trial && counting) {
    if (state.trial.attempts >= FIRST_RUNS) return { version: await rollBack(root, onStep), onTrial: false };
    state = { ...state, trial: { ...state.trial, attempts: state.trial.attempts + 1 } };
    await writeState(root, state);
    onStep("attempt counted");
  }
  const version = state.trial?.version ?? state.confirmed;
  if (current !== version) await switchTo(root, version, onStep);
  return { version, onTrial: state.trial !== null };
}

async function confirm(root, version, onStep) {
  const state = await readState(root);
  if (state.trial?.version !== version) return;
  await writeState(root, { ...state, confirmed: version, previous: state.confirmed, trial: null });
  onStep("confirmed");
  for (const name of await readdir(join(root, "versions"))) {
    if (![version, state.confirmed].includes(Number(name))) {
      await rm(folderOf(root, name), { recursive: true, force: true });
    }
  }
  onStep("older ones removed");
}

/** Gives the version on trial up, or without one goes back to the previous one. Returns the version that takes over. */
export async function rollBack(root, onStep = quiet) {
  const state = await readState(root);
  const back = state.trial ? state.confirmed : state.previous;
  if (back === null) {
    throw new Error(`version ${state.confirmed}: expected a previous version to go back to, found none`);
  }
  const bad = [...state.bad, state.trial?.version ?? state.confirmed];
  await writeState(root, {
    ...state,
    confirmed: back,
    previous: state.trial ? state.previous : null,
    trial: null,
    bad,
  });
  onStep("rolled back");
  await switchTo(root, back, onStep);
  return back;
}

/** Makes the link `current` name a version, in one rename. */
async function switchTo(root, version, onStep) {
  const link = join(root, "current"), made = join(root, "current.new");
  await rm(made, { force: true });
  await symlink(join("versions", String(version)), made);
  onStep("link made");
  await rename(made, link);
  await flush(root);
  onStep("switched");
}

async function currentVersion(root) {
  const target = await readlink(join(root, "current")).catch(() => undefined);
  return target === undefined ? undefined : Number(target.slice(target.lastIndexOf("/") + 1));
}

/** `{ confirmed, previous, highest, trial: { version, attempts } | null, bad: [version] }`; undefined before `install`. */
export async function readState(root) {
  const text = await readFile(join(root, "state.json"), "utf8").catch(() => undefined);
  return text === undefined ? undefined : JSON.parse(text);
}

async function writeState(root, state) {
  await writeDurable(join(root, "state.json"), JSON.stringify(state) + "\n");
}

async function writeDurable(path, content) {
  const file = await open(`${path}.new`, "w");
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
  await flush(dirname(path));
}

/** Sees to it that a file's or folder's content outlives a power cut. */
async function flush(path) {
  const file = await open(path, "r");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

async function isWhole(path, { bytes, sha256 }) {
  const content = await readFile(path).catch(() => undefined);
  return content?.length === bytes && createHash("sha256").update(content).digest("hex") === sha256;
}

async function deviceId(root) {
  const path = join(root, "device-id");
  const known = await readFile(path, "utf8").catch(() => "");
  if (known.trim() !== "") return known.trim();
  const made = randomUUID();
  await writeDurable(path, made + "\n");
  return made;
}

/** One process at a time: a lock of a process that is gone, or of an earlier boot, counts for nothing. */
async function locked(root, work) {
  const path = join(root, "update.lock");
  const boot = (await readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => "")).trim();
  const note = `${path}.${process.pid}`; // linked when it is written: a lock always tells its holder
  await writeFile(note, `${process.pid} ${boot}`);
  for (let attempt = 0;; attempt++) {
    try {
      await link(note, path);
      break;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
      const [pid, when] = (await readFile(path, "utf8").catch(() => "")).split(" ");
      const living = pid !== "" && when === boot && isRunning(Number(pid));
      if (living || attempt >= 3) {
        await rm(note, { force: true });
        throw Object.assign(new Error(`${path}: expected no other process at work, found ${pid}`), { busy: true });
      }
      await rm(path, { force: true });
    }
  }
  await rm(note, { force: true });
  try {
    return await work();
  } finally {
    await rm(path, { force: true });
  }
}

function isRunning(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

/** In a process of its own: a model that brings the runtime down must not bring the update down. */
async function ownSelfTest(folder, root) {
  const child = spawn(process.execPath, [join(root, "runner.mjs"), "--model", folder, "--self-test"], {
    stdio: ["ignore", "ignore", "pipe"],
    timeout: SELF_TEST_MS,
  });
  let said = "";
  child.stderr.on("data", (chunk) => said += chunk);
  const [code, signal] = await new Promise((done, failed) => {
    child.on("error", failed);
    child.on("close", (...end) => done(end));
  });
  if (code !== 0) throw new Error(said.trim().split("\n").at(-1) || `it ended with ${signal ?? code}`);
}

async function main([command = "", ...more]) {
  const root = dirname(fileURLToPath(import.meta.url));
  const commands = {
    install: () => install(root),
    update: () => update(root),
    rollback: () => locked(root, async () => ({ status: "rolled back", version: await rollBack(root) })),
    status: async () => ({ current: await currentVersion(root), ...await readState(root) }),
  };
  const work = Object.hasOwn(commands, command) && more.length === 0 ? commands[command] : undefined;
  if (!work) throw new Error(`expected ${Object.keys(commands).join(", ")}, found "${[command, ...more].join(" ")}"`);
  console.log(JSON.stringify(await work()));
}

if (existsSync(process.argv[1] ?? "") && fileURLToPath(import.meta.url) === realpathSync(process.argv[1])) {
  try {
    await main(process.argv.slice(2));
  } catch (error) {
    console.error(`error: ${error.message.split("\n")[0]}`);
    process.exitCode = 1;
  }
}
