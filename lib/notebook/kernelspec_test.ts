/** Tests of the kernelspec. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { installKernel, jupyterDataFolder, removeKernel } from "./kernelspec.ts";

Deno.test("the kernelspec names this Deno, is written over an older one, and goes away again", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await installKernel(folder, "/old/deno");
    const { path, warning } = await installKernel(folder, "/opt/deno");
    assert.equal(warning, undefined);
    const spec = JSON.parse(await Deno.readTextFile(join(path, "kernel.json")));
    assert.deepEqual(spec.argv, ["/opt/deno", "jupyter", "--kernel", "--conn", "{connection_file}"]);
    assert.deepEqual([spec.display_name, spec.language], ["Deno", "typescript"]);
    assert.equal(await removeKernel(folder), true);
    assert.equal(await removeKernel(folder), false);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a Deno in npx's cache is said to last only as long as the cache", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const { warning } = await installKernel(folder, "/home/x/.npm/_npx/7a40/node_modules/deno/deno");
    assert.match(warning!, /stands in npm's cache/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a kernelspec of another program is left alone", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = join(folder, "kernels", "deno");
    await Deno.mkdir(path, { recursive: true });
    await Deno.writeTextFile(join(path, "kernel.json"), '{"argv": ["python"], "language": "python"}');
    await assert.rejects(removeKernel(folder), /expected the kernelspec of Deno, found another/);
    assert.ok(await Deno.stat(join(path, "kernel.json")));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("the data folder is Jupyter's own on every system", () => {
  const env = (values: Record<string, string>) => (name: string) => values[name];
  assert.equal(jupyterDataFolder(env({ JUPYTER_DATA_DIR: "/j", HOME: "/h" }), "linux"), "/j");
  assert.equal(jupyterDataFolder(env({ HOME: "/h" }), "linux"), "/h/.local/share/jupyter");
  assert.equal(jupyterDataFolder(env({ HOME: "/h", XDG_DATA_HOME: "/x" }), "linux"), "/x/jupyter");
  assert.equal(jupyterDataFolder(env({ HOME: "/h" }), "darwin"), "/h/Library/Jupyter");
});
