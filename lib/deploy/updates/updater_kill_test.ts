import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { install, readState, runTrial, update as updatePackage } from "../targets/assets/rpi/updater.mjs";
import { selfTest, work } from "./updater_child.ts";
import { device, endFixture, link, makePackage, publish, run, update } from "./updater_fixture.ts";

const child = fileURLToPath(new URL("./updater_child.ts", import.meta.url));
Deno.test.afterAll(endFixture);

/** The steps of an action, by a run that is not killed. */
async function stepsOf(action: (onStep: (step: string) => void) => Promise<unknown>): Promise<string[]> {
  const steps: string[] = [];
  await action((step) => void steps.push(step));
  return [...new Set(steps)];
}

async function killedAt(root: string, action: string, step: string): Promise<void> {
  const { signal, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", child, root, action, step],
    stdout: "null",
    stderr: "piped",
  }).output();
  assert.equal(signal, "SIGKILL", `${action}, ${step}: ${new TextDecoder().decode(stderr)}`);
}

Deno.test("killed after any step of an update, the next start finds a whole version, and the next update goes through", async () => {
  await publish({ version: 2 });
  const first = await device();
  const steps = await stepsOf((onStep) => updatePackage(first, { selfTest, onStep }));
  for (const one of ["manifest verified", "file model.onnx", "downloaded model.onnx", "staged", "version in place"]) {
    assert.ok(steps.includes(one), one);
  }
  for (const one of ["self-test passed", "trial written", "link made", "switched"]) assert.ok(steps.includes(one), one);
  await Promise.all(steps.map(async (step) => {
    const root = await device();
    await killedAt(root, "update", step);
    assert.equal(await run(root), step === "switched" ? "version 2 works" : "version 1 works", step);
    const { status } = await update(root);
    assert.equal(status, step === "switched" ? "current" : "updated", step);
    assert.equal(await run(root), "version 2 works", step);
    assert.equal((await readState(root)).confirmed, 2, step);
  }));
});

Deno.test("killed after any step of the first run or of the way back, the next start finds a version that works", async () => {
  await publish({ version: 2 });
  const prepared = async () => {
    const root = await device();
    await update(root);
    return root;
  };
  const good = await prepared(), steps = await stepsOf((onStep) => runTrial(good, work, { onStep }));
  assert.deepEqual(steps, ["attempt counted", "confirmed", "older ones removed"]);
  for (const step of steps) {
    const root = await prepared();
    await killedAt(root, "run", step);
    assert.equal(await run(root), "version 2 works", step);
    assert.equal((await readState(root)).confirmed, 2);
  }
  await publish({ version: 2, says: "breaks" });
  const bad = await prepared(), back = await stepsOf((onStep) => runTrial(bad, work, { onStep }));
  assert.deepEqual(back, ["attempt counted", "rolled back", "link made", "switched"]);
  for (const step of back) {
    const root = await prepared();
    await killedAt(root, "run", step);
    assert.equal(await run(root), "version 1 works", step);
    assert.deepEqual(await update(root), { status: "failed before", version: 2 });
    assert.equal(await link(root), "versions/1");
  }
});

Deno.test("killed after any step of the installation, the package still works, and the next installation goes through", async () => {
  const first = await makePackage({ version: 1 });
  const steps = await stepsOf((onStep) => install(first, { selfTest, onStep }));
  await Promise.all(steps.map(async (step) => {
    const root = await makePackage({ version: 1 });
    await killedAt(root, "install", step);
    assert.equal(await run(root), "version 1 works", step);
    await install(root, { selfTest });
    assert.equal(await run(root), "version 1 works", step);
    assert.equal(await link(root), "versions/1", step);
  }));
});

Deno.test("a version whose first runs are broken off twice is given up", async () => {
  await publish({ version: 2 });
  const root = await device();
  await update(root);
  for (let attempt = 0; attempt < 2; attempt++) await killedAt(root, "run", "attempt counted");
  assert.equal(await run(root), "version 1 works");
  assert.deepEqual((await readState(root)).bad, [2]);
});
