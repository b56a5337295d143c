/** Tests of the runner on the real Deno kernel: nothing lost, every failure one line, nothing left behind. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { executeNotebook, executeNotebookFile, type ExecuteOptions, OutputCollector } from "./execute.ts";
import { type CodeCell, type Notebook, readNotebook } from "./notebook_file.ts";

function notebookOf(...sources: readonly string[]): Notebook {
  const cells = sources.map((source): CodeCell => ({
    cell_type: "code",
    source,
    metadata: {},
    execution_count: null,
    outputs: [],
  }));
  return { nbformat: 4, nbformat_minor: 4, metadata: {}, cells };
}

async function run(sources: readonly string[], options: ExecuteOptions = {}, cwd = Deno.cwd()) {
  const execution = await executeNotebook(notebookOf(...sources), cwd, options);
  const cells = execution.notebook.cells as CodeCell[];
  return { ...execution, cells, outputs: cells.map((cell) => cell.outputs) };
}

/** Whether a process lives (a zombie does not). */
async function lives(pid: number): Promise<boolean> {
  try {
    return !/^\d+ \(.*\) Z/s.test(await Deno.readTextFile(`/proc/${pid}/stat`));
  } catch {
    return false;
  }
}

Deno.test("a cell's text, result, error stream and updated display come out as they were shown", async () => {
  const { failure, outputs, cells } = await run([
    "console.log('a'); console.log('b'); console.error('e'); console.log('c')",
    "1 + 1",
    "await Deno.jupyter.display({ 'text/plain': 'one' }, { raw: true, display_id: 'x' })",
    "await Deno.jupyter.display({ 'text/plain': 'two' }, { raw: true, display_id: 'x', update: true })",
    "console.log('old'); await Deno.jupyter.broadcast('clear_output', { wait: true }); console.log('new')",
    "  ",
  ]);
  assert.equal(failure, undefined);
  assert.deepEqual(outputs[0], [
    { output_type: "stream", name: "stdout", text: "a\nb\n" },
    { output_type: "stream", name: "stderr", text: "e\n" },
    { output_type: "stream", name: "stdout", text: "c\n" },
  ]);
  assert.deepEqual(outputs[1], [
    { output_type: "execute_result", data: { "text/plain": "2" }, metadata: {}, execution_count: 2 },
  ]);
  assert.deepEqual(outputs[2], [{ output_type: "display_data", data: { "text/plain": "two" }, metadata: {} }]);
  assert.deepEqual(outputs[3], []);
  assert.deepEqual(outputs[4], [{ output_type: "stream", name: "stdout", text: "new\n" }]);
  assert.deepEqual(cells.map((cell) => cell.execution_count), [1, 2, 3, 4, 5, null]);
});

Deno.test("200 cells that each print 100 kB lose nothing in the executed copy", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const cell = (n: number) => `for (let i = 0; i < 10; i++) console.log("${n}." + i + " " + "x".repeat(10_000));`;
    const source = join(folder, "in.ipynb"), output = join(folder, "out.ipynb");
    await Deno.writeTextFile(source, JSON.stringify(notebookOf(...Array.from({ length: 200 }, (_, n) => cell(n)))));
    const { failure } = await executeNotebookFile(source, output);
    assert.equal(failure, undefined);
    const { cells } = await readNotebook(output);
    for (const [n, one] of cells.entries()) {
      const expected = Array.from({ length: 10 }, (_, i) => `${n}.${i} ${"x".repeat(10_000)}\n`).join("");
      const [shown, ...more] = (one as CodeCell).outputs;
      assert.ok(shown?.output_type === "stream" && shown.text === expected && !more.length, `cell ${n + 1}`);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("200 small cells whose display is their last act lose none", async () => {
  const { outputs } = await run(
    Array.from({ length: 200 }, (_, n) => `void Deno.jupyter.display({ "text/plain": "${n}" }, { raw: true });`),
  );
  const shown = outputs.map(([one]) => one?.output_type === "display_data" ? one.data["text/plain"] : undefined);
  assert.deepEqual(shown, Array.from({ length: 200 }, (_, n) => String(n)));
});

Deno.test("a syntax error stops with cell, place and cause, and the cells behind do not run", async () => {
  const { failure, outputs } = await run(["1", "let a = 1;\nlet b = ;", "2"]);
  assert.deepEqual(failure, {
    cell: 2,
    excerpt: "let a = 1;",
    cause: "SyntaxError at line 2, column 9: Expression expected",
  });
  assert.equal(outputs[0]!.length, 1);
  assert.equal(outputs[1]![0]!.output_type, "error");
  assert.deepEqual(outputs[2], []);
});

Deno.test("an error thrown is one line, and what the cell showed before it is kept", async () => {
  const { failure, outputs } = await run(["console.log('before');\nthrow new TypeError('first\\nsecond');", "1"]);
  assert.deepEqual(failure, { cell: 1, excerpt: "console.log('before');", cause: "TypeError: first; second" });
  assert.deepEqual(outputs[0]!.map((one) => one.output_type), ["stream", "error"]);
});

Deno.test("an error that the kernel sends before what was printed ahead of it still stands last", () => {
  const collector = new OutputCollector();
  const message = (type: string, content: Record<string, unknown>) => collector.add({ type, parent: "", content });
  message("stream", { name: "stdout", text: "a" });
  message("error", { ename: "Error", evalue: "e", traceback: [] });
  message("stream", { name: "stdout", text: "b" });
  assert.deepEqual(collector.finish(), [
    { output_type: "stream", name: "stdout", text: "ab" },
    { output_type: "error", ename: "Error", evalue: "e", traceback: [] },
  ]);
});

Deno.test("a promise that nobody awaits and that fails stops the notebook", async () => {
  const { failure, outputs } = await run([
    "Promise.reject(new RangeError('late')); await new Promise((done) => setTimeout(done, 100));",
    "1",
  ]);
  assert.equal(failure!.cause, "RangeError: in a promise that nobody awaited: late");
  assert.deepEqual(outputs.map((one) => one.length), [1, 0]);
});

Deno.test("a cell that never ends is stopped by the time-out, busy or waiting", async () => {
  for (const source of ["for (;;);", "await new Promise((done) => setTimeout(done, 1e8));"]) {
    const started = performance.now();
    const { failure, outputs } = await run([`console.log("begun"); ${source}`, "1"], { cellSeconds: 1 });
    assert.ok(performance.now() - started < 15_000);
    assert.match(failure!.cause, /expected an end within 1 s for a cell, found it still running/);
    assert.equal(outputs[0]!.at(-1)!.output_type, "error");
  }
});

Deno.test("the notebook's whole time is limited too", async () => {
  const wait = "await new Promise((done) => setTimeout(done, 400));";
  const { failure } = await run([wait, wait, wait, wait, wait, wait], { totalSeconds: 1 });
  assert.match(failure!.cause, /expected an end within 1 s for a notebook/);
  assert.ok(failure!.cell < 6);
});

Deno.test("a kernel that dies is one line with its exit status", async () => {
  assert.match((await run(["1", "Deno.exit(3)"])).failure!.cause, /^the kernel died \(exit status 3\)/);
  const killed = await run(["Deno.kill(Deno.pid, 'SIGKILL'); await new Promise((done) => setTimeout(done, 1e8))"]);
  assert.match(killed.failure!.cause, /^the kernel died \(SIGKILL\)/);
});

Deno.test("a cell that prints without end is stopped before it fills the memory", async () => {
  const { failure } = await run(["for (;;) { console.log('x'.repeat(1e5)); await 0; }"], { outputLimit: 5e6 });
  assert.match(failure!.cause, /expected at most 5000000 characters of output from a cell, found more/);
});

Deno.test("profile, seed and the working directory reach the cells", async () => {
  const folder = await Deno.realPath(await Deno.makeTempDir());
  try {
    const source = `[Deno.env.get("POKEDEX_PROFILE"), Deno.env.get("POKEDEX_SEED"), Deno.cwd()].join()`;
    const { outputs } = await run([source], { profile: "smoke", seed: 7 }, folder);
    const [result] = outputs[0]!;
    assert.ok(result?.output_type === "execute_result");
    assert.equal(result.data["text/plain"], JSON.stringify(`smoke,7,${folder}`));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a kernel that cannot start is a failure of the notebook, not a hang", async () => {
  const { failure } = await run(["1"], {}, "/nowhere/at/all");
  assert.equal(failure!.cell, 0);
  assert.match(failure!.cause, /\/nowhere\/at\/all: expected a folder to run a kernel in/);
});

Deno.test("cells are announced as they start and end, Markdown cells counted", async () => {
  const notebook = notebookOf("1", "2");
  notebook.cells.unshift({ cell_type: "markdown", source: "# Title", metadata: {} });
  const events: string[] = [];
  await executeNotebook(notebook, Deno.cwd(), {
    onCell: ({ kind, cell, cells }) => events.push(`${kind} ${cell}/${cells}`),
  });
  assert.deepEqual(events, ["start 2/3", "end 2/3", "start 3/3", "end 3/3"]);
});

for (const signal of ["SIGINT", "SIGTERM", "SIGKILL"] as const) {
  Deno.test({
    name: `${signal} to the runner leaves no kernel behind`,
    ignore: Deno.build.os !== "linux",
    async fn() {
      const folder = await Deno.makeTempDir();
      try {
        const pidFile = join(folder, "pid");
        const cell = `Deno.writeTextFileSync(${JSON.stringify(pidFile)}, String(Deno.pid)); ` +
          "await new Promise((done) => setTimeout(done, 1e8))";
        const script = `import { executeNotebook } from ${JSON.stringify(import.meta.resolve("./execute.ts"))};
          await executeNotebook(${JSON.stringify(notebookOf(cell))}, ${JSON.stringify(folder)});`;
        const config = fileURLToPath(new URL("../../deno.json", import.meta.url));
        await Deno.writeTextFile(join(folder, "run.ts"), script);
        const runner = new Deno.Command(Deno.execPath(), {
          args: ["run", "-A", "--no-check", "--config", config, join(folder, "run.ts")],
          stdout: "null",
          stderr: "null",
        }).spawn();
        let kernel = 0;
        for (let i = 0; i < 600 && !kernel; i++) {
          await new Promise((done) => setTimeout(done, 50));
          kernel = Number(await Deno.readTextFile(pidFile).catch(() => "0"));
        }
        assert.ok(kernel > 0 && await lives(kernel), "the kernel runs");
        runner.kill(signal);
        await runner.status;
        const deadline = Date.now() + 10_000;
        while (await lives(kernel) && Date.now() < deadline) await new Promise((done) => setTimeout(done, 50));
        assert.equal(await lives(kernel), false);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}

Deno.test("an update reaches every display of its id, and clear_output without waiting clears at once", () => {
  const collector = new OutputCollector();
  const display = (type: string, text: string) =>
    collector.add({
      type,
      parent: "",
      content: { data: { "text/plain": text }, metadata: {}, transient: { display_id: "x" } },
    });
  collector.add({ type: "stream", parent: "", content: { name: "stdout", text: "gone" } });
  collector.add({ type: "clear_output", parent: "", content: { wait: false } });
  display("display_data", "1");
  display("display_data", "2");
  display("update_display_data", "3");
  const texts = collector.finish().map((one) => one.output_type === "display_data" && one.data["text/plain"]);
  assert.deepEqual(texts, ["3", "3"]);
});
