/** `deno task kernel`: lets Jupyter and VS Code find the Deno kernel. */

import { installKernel, jupyterDataFolder, removeKernel } from "../lib/notebook/mod.ts";
import { runCommand } from "../lib/runtime/mod.ts";

await runCommand({
  usage: "deno task kernel",
  about: 'Writes a kernelspec named "Deno" into the user\'s Jupyter folder (JUPYTER_DATA_DIR, else the usual place).',
  flags: { remove: { type: "boolean", help: "remove it instead" } },
  async run({ remove, json }) {
    const say = json ? console.error : console.log;
    if (remove) {
      const removed = await removeKernel();
      say(removed ? "The Deno kernel is removed." : `There was no Deno kernel in ${jupyterDataFolder()}.`);
      return { ok: true, removed };
    }
    const kernel = await installKernel();
    say(`The Deno kernel is installed in ${kernel.path}.`);
    say('In VS Code: open a notebook, "Select Kernel", "Jupyter Kernel…", "Deno". In Jupyter: the kernel "Deno".');
    if (kernel.warning) console.error(`note: ${kernel.warning}`);
    return { ok: true, ...kernel };
  },
});
