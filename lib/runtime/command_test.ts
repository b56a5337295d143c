import assert from "node:assert/strict";
import { integerFlag } from "./command.ts";
import { describeError } from "./errors.ts";

const mod = new URL("./mod.ts", import.meta.url).href;

/** Runs a small command in a process of its own, as a user would. */
async function call(...args: string[]) {
  const script = `const { runCommand, InputError, WorkError } = await import(${JSON.stringify(mod)});
    await runCommand({
      usage: "deno task demo", about: "Shows.", operands: "FILE…",
      flags: { size: { type: "string", help: "pixels", value: "N", default: "4" }, force: { type: "boolean", help: "do" } },
      run(values, operands) {
        if (operands[0] === "input") throw new InputError("a\\nb");
        if (operands[0] === "work") throw new WorkError("disk full");
        if (operands[0] === "own") throw Object.assign(new Error("no such species"), { exitStatus: 2 });
        if (operands[0] === "bad") return Promise.resolve({ ok: false });
        return Promise.resolve({ ok: true, size: values.size, force: values.force, operands });
      },
    });`;
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), { args: ["eval", script, "--", ...args] })
    .output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

Deno.test("--json prints one document on stdout and status 0", async () => {
  const { code, stdout } = await call("--json", "--size", "9", "a", "b");
  assert.equal(code, 0);
  assert.deepEqual(JSON.parse(stdout), { ok: true, size: "9", force: false, operands: ["a", "b"] });
});

Deno.test("wrong arguments and wrong input end with 2, failed work and ok: false with 1, each in one line", async () => {
  const unknown = await call("--sise", "9");
  assert.equal(unknown.code, 2);
  assert.match(unknown.stderr, /^error: deno task demo: .*--sise.*see --help$/);
  assert.deepEqual(await call("input"), { code: 2, stdout: "", stderr: "error: a; b" });
  assert.deepEqual(await call("work"), { code: 1, stdout: "", stderr: "error: disk full" });
  assert.deepEqual(await call("own"), { code: 2, stdout: "", stderr: "error: no such species" });
  assert.equal((await call("bad")).code, 1);
});

Deno.test("--help names every flag with its default", async () => {
  const { code, stdout } = await call("--help");
  assert.equal(code, 0);
  assert.match(stdout, /^deno task demo FILE… \[flags\]/);
  assert.match(stdout, /--size N\s+pixels \(default: 4\)/);
  assert.match(stdout, /--json/);
});

Deno.test("integerFlag() takes whole numbers in the range only", () => {
  assert.equal(integerFlag("n", "12", 1, 12), 12);
  for (const text of ["0", "13", "1.5", "x", "", "1e3"]) {
    assert.throws(() => integerFlag("n", text, 1, 12), /--n: expected a whole number in 1 … 12, found/);
  }
});

Deno.test("describeError() makes one line of anything thrown", () => {
  assert.equal(describeError(new Error("a\n  b\r\n c")), "a; b; c");
  assert.equal(describeError("x".repeat(500), 10), "x".repeat(9) + "…");
  assert.equal(describeError(undefined), "undefined");
});
