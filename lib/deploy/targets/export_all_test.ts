import assert from "node:assert/strict";
import { join } from "node:path";
import { openModel } from "../../experiment/mod.ts";
import { exists, InputError } from "../../runtime/mod.ts";
import { exportAllTargets } from "./export_all.ts";
import { smallPackage } from "./export_fixture.ts";
import { TARGETS } from "./manifest.ts";

Deno.test("each target gets its folder, a second time too; one that refuses the model is listed with its reason, and a bug is not hidden", async () => {
  const folder = await Deno.makeTempDir({ prefix: "pokedex_all_" });
  try {
    await using opened = await openModel(await smallPackage(folder));
    const refuse = () => Promise.reject(new InputError("small: no board takes it"));
    for (const budget of [1, undefined]) { // of one byte, then of the usual
      const { manifests, refused } = await exportAllTargets(opened, join(folder, "out"), {
        budget,
        more: { board: refuse },
      });
      const written = TARGETS.filter((target) => budget === undefined || target !== "web");
      assert.deepEqual(manifests.map(({ target }) => target), written);
      assert.match(refused.at(-1)!.why, /^small: no board takes it$/);
      if (budget) assert.match(refused[0]!.why, /expected at most 0\.00 MB for the web/);
      assert.equal(await exists(join(folder, "out", "web", "manifest.json")), budget === undefined);
    }
    const broken = () => Promise.reject(new TypeError("a bug"));
    await assert.rejects(exportAllTargets(opened, join(folder, "more"), { more: { board: broken } }), /a bug/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
