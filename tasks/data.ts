/** `deno task data build|verify|analyze|collect|upload|download`: hands over to the file of the sub-command. */

const commands: Record<string, { readonly about: string; run(args: string[]): Promise<unknown> }> = {
  build: {
    about: "raw pictures → groups → splits → YOLO dataset",
    run: async (args) => (await import("./data/build.ts")).build(args),
  },
  verify: {
    about: "checks a built dataset and lists what is wrong",
    run: async (args) => (await import("./data/verify.ts")).verify(args),
  },
  analyze: {
    about: "counts classes, splits, sources, sizes, colours, near-duplicates",
    run: async (args) => (await import("./data/analyze.ts")).runAnalyze(args),
  },
  collect: { about: "comes with lib/hub", run: async () => (await import("./data/hub.ts")).notYet("collect") },
  upload: { about: "comes with lib/hub", run: async () => (await import("./data/hub.ts")).notYet("upload") },
  download: { about: "comes with lib/hub", run: async () => (await import("./data/hub.ts")).notYet("download") },
};

const [name = "", ...args] = Deno.args;
const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
if (command) {
  await command.run(args);
} else {
  const lines = Object.entries(commands).map(([each, { about }]) => `  ${each.padEnd(9)} ${about}`);
  const usage = `deno task data COMMAND [flags]\n\n${lines.join("\n")}\n\nEach takes --help.`;
  if (name === "--help" || name === "-h") {
    console.log(usage);
    Deno.exit(0);
  }
  const found = name === "" ? "nothing" : `"${name}"`;
  console.error(`error: deno task data: expected ${Object.keys(commands).join(", ")}, found ${found}; see --help`);
  Deno.exit(2);
}
