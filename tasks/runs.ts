/** `deno task runs list|show|compare|prune`: hands over to the file of the sub-command. */

const commands: Record<string, { readonly about: string; run(args: string[]): Promise<unknown> }> = {
  list: { about: "all runs, the newest first", run: async (args) => (await import("./runs/list.ts")).list(args) },
  show: {
    about: "one run: how it went, its validations",
    run: async (args) => (await import("./runs/show.ts")).show(args),
  },
  compare: {
    about: "runs beside each other, with curves in one HTML page",
    run: async (args) => (await import("./runs/compare.ts")).compare(args),
  },
  prune: { about: "removes runs nobody needs", run: async (args) => (await import("./runs/prune.ts")).prune(args) },
};

const [name = "", ...args] = Deno.args;
const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
if (command) {
  await command.run(args);
} else {
  const lines = Object.entries(commands).map(([each, { about }]) => `  ${each.padEnd(8)} ${about}`);
  const usage = `deno task runs COMMAND [flags]\n\n${lines.join("\n")}\n\nEach takes --help.`;
  if (name === "--help" || name === "-h") {
    console.log(usage);
    Deno.exit(0);
  }
  const found = name === "" ? "nothing" : `"${name}"`;
  console.error(`error: deno task runs: expected ${Object.keys(commands).join(", ")}, found ${found}; see --help`);
  Deno.exit(2);
}
