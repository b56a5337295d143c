/** Training that is killed in the middle of a step and resumed gives the losses of training that was left in peace. */

import assert from "node:assert/strict";

const script = new URL("kill_train.ts", import.meta.url).pathname;

/** The last checkpoint lies 20 steps before. */
const KILLED_IN = 500, COMPARED = 100;

Deno.test("killed with -9 in the middle of step 500 and resumed, the next 100 losses are bit-identical", async () => {
  const disturbed = await Deno.makeTempDir(), undisturbed = await Deno.makeTempDir();
  try {
    const first = await train(disturbed, KILLED_IN + COMPARED, KILLED_IN);
    assert.ok(!first.has(KILLED_IN), "the process was killed before it had finished the step");
    assert.ok(first.has(KILLED_IN - 1));
    const resumed = await train(disturbed, KILLED_IN + COMPARED);
    assert.equal(Math.min(...resumed.keys()), 480, "it went on from the last checkpoint");
    const whole = await train(undisturbed, KILLED_IN + COMPARED);
    for (let step = KILLED_IN; step < KILLED_IN + COMPARED; step++) {
      assert.equal(resumed.get(step), whole.get(step), `loss of step ${step}`);
    }
    const mean = (from: number) =>
      [...whole].slice(from, from + 50).reduce((sum, [, loss]) => sum + Number(loss), 0) / 50;
    assert.ok(mean(500) < 0.5 * mean(0), `it learned: from ${mean(0)} to ${mean(500)}`);
  } finally {
    await Deno.remove(disturbed, { recursive: true });
    await Deno.remove(undisturbed, { recursive: true });
  }
});

/** Losses by step, as text so that every bit counts. */
async function train(folder: string, steps: number, kill?: number): Promise<Map<number, string>> {
  const { code, signal, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", script, folder, String(steps), ...(kill === undefined ? [] : [String(kill)])],
  }).output();
  const errors = new TextDecoder().decode(stderr);
  if (kill === undefined) assert.equal(code, 0, errors);
  else assert.equal(signal, "SIGKILL", errors);
  const lines = new TextDecoder().decode(stdout).trim().split("\n").map((line) => line.split(" "));
  return new Map(lines.map(([, step, loss]) => [Number(step), loss!]));
}
