/** What the guard goes back to: the newest whole checkpoint from before, an older one, the best, or none; and kills in between. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { checkpointName, readCheckpoint, readCheckpointHead } from "../checkpoint.ts";
import { bestCheckpointPath, checkpointFolder } from "../fit/checkpoint_store.ts";
import { inFolder, ofKind } from "../fit/fixture.ts";
import { parseProgress } from "../fit/progress.ts";
import { readResume } from "../fit/resume.ts";
import { openSmallStep } from "../small_network.ts";
import { fast, faultyFit, quality, STEPS } from "./fixture.ts";

Deno.test("a rate that stays a thousand times too high ends training after the rollbacks, with the best weights", () =>
  inFolder(async (folder) => {
    const guarded = await faultyFit(folder, fast(130, Infinity, 1000), { guard: {} });
    assert.deepEqual([guarded.reason, guarded.rateFactor, guarded.spoilt], ["guard", 0.125, false]);
    assert.ok(guarded.best!.value > 0.85);
    const { state } = await readCheckpoint(bestCheckpointPath(folder));
    assert.deepEqual(guarded.state, state);
    const last = ofKind(guarded.events, "incident").findLast(({ response }) => response === "stop");
    assert.match(last!.cause, /went back to best\/checkpoint.safetensors of step \d+: training ends$/);
    assert.equal(ofKind(guarded.events, "end")[0]!.reason, "guard");
    // What a resume goes on from is that, too.
    await using step = await openSmallStep();
    assert.equal((await readResume(folder, { tensors: step.tensors })).state.step, state.step);
  }));

Deno.test("a damaged and a lost checkpoint are passed over, each with a line", () =>
  inFolder(async (folder) => {
    const path = (step: number) => join(checkpointFolder(folder), checkpointName(step));
    const spoil = (steps: readonly number[]) => ({
      async onStep({ result: { step } }: { result: { step: number } }) {
        if (step !== 131) return;
        for (const [i, each] of steps.entries()) {
          if (i > 0) await Deno.remove(path(each));
          else await Deno.writeTextFile(path(each), "damaged");
        }
        await Deno.remove(bestCheckpointPath(folder)).catch(() => {});
      },
    });
    const checkpoints = { folder, everyEpochs: 1, keep: 4 };
    const options = { guard: { rateFactor: 1 }, checkpoints, callbacks: [spoil([120, 100])] };
    const guarded = await faultyFit(folder, fast(130, 135), options);
    assert.ok(quality(guarded) > 0.9, `${quality(guarded)}`); // 0.99 when left in peace
    const incidents = ofKind(guarded.events, "incident");
    assert.equal(incidents.find(({ rollback }) => rollback)!.rollback!.step, 80);
    const warnings = incidents.filter(({ what }) => what === "warning").map(({ cause }) => cause);
    assert.equal(warnings.length >= 2, true);
    assert.ok(
      warnings.some((cause) => /step-000000100.safetensors: expected a checkpoint, found nothing there$/.test(cause)),
    );
    assert.ok(warnings.some((cause) => /step-000000120.safetensors: expected /.test(cause)));
  }));

Deno.test("with no whole checkpoint left training ends, says so, and saves the weights no more", () =>
  inFolder(async (folder) => {
    const damage = {
      async onStep({ result: { step } }: { result: { step: number } }) {
        if (step !== 131) return;
        for (const name of [...Deno.readDirSync(checkpointFolder(folder))].map(({ name }) => name)) {
          if (name.endsWith(".safetensors")) await Deno.truncate(join(checkpointFolder(folder), name), 100);
        }
        await Deno.truncate(bestCheckpointPath(folder), 100);
      },
    };
    const guarded = await faultyFit(folder, fast(130, 135), { guard: {}, callbacks: [damage] });
    assert.deepEqual([guarded.reason, guarded.spoilt], ["guard", true]);
    const stop = ofKind(guarded.events, "incident").find(({ response }) => response === "stop");
    assert.match(stop!.cause, /expected a whole checkpoint from before it to go back to, found none: training ends$/);
    assert.ok(ofKind(guarded.events, "checkpoint").every(({ why }) => why !== "end" && why !== "rollback"));
  }));

Deno.test("killed at any step around the rollbacks and resumed, training ends with the same bits, incidents and rate", async () => {
  const guard = {}, checkpoints = (folder: string) => ({ folder, everyEpochs: 1, everySteps: 7 });
  const whole = await inFolder((folder) =>
    faultyFit(folder, fast(130, 135), { guard, checkpoints: checkpoints(folder) })
  );
  assert.ok(whole.rateFactor < 1 && whole.skipped > 0);
  const taken = ofKind(whole.events, "step").length;
  let kills = 0;
  await inFolder(async (folder) => {
    await using probe = await openSmallStep();
    const { tensors } = probe;
    const written = new Map<string, number>();
    for (let steps = 126;; steps = 16 + kills % 7) {
      const resume = kills === 0 ? undefined : await readResume(folder, { tensors });
      let left = steps; // the first process goes as far as the fault, the others by a few steps to different places
      const killer = {
        onStep() {
          if (--left === 0) throw new Error("killed");
        },
        onCheckpoint({ path }: { path: string }) {
          const times = (written.get(path) ?? 0) + 1;
          written.set(path, times);
          if (times === 2 && !path.includes("best")) throw new Error("killed"); // such as a rollback's own
        },
      };
      const options = { guard, resume, checkpoints: checkpoints(folder), callbacks: [killer] };
      const result = await faultyFit(folder, fast(130, 135), options).catch((error) => {
        assert.equal(error.message, "killed");
        kills++;
      });
      if (!result) continue;
      assert.deepEqual(result.state, whole.state);
      assert.deepEqual(result.incidents, whole.incidents);
      assert.deepEqual([result.rateFactor, result.skipped, result.best], [whole.rateFactor, whole.skipped, whole.best]);
      break;
    }
  });
  assert.ok(kills > (taken - 126) / 22, `${kills} kills`);
});

Deno.test("a checkpoint from before there was a guard still loads", () =>
  inFolder(async (folder) => {
    await faultyFit(folder, {}, { epochs: 1 });
    const path = join(checkpointFolder(folder), checkpointName(STEPS));
    const { guard, ...before } = (await readCheckpointHead(path)).progress as Record<string, unknown>;
    assert.ok(guard);
    assert.equal(parseProgress(before, path).guard.rateFactor, 1);
  }));
