/** `deno task reproduce`: runs the notebooks, renders their reports, writes results.json. */

import { fileURLToPath } from "node:url";
import { relative } from "node:path";
import { parseSeed, parseSource } from "../lib/experiment/mod.ts";
import { type CellEvent, clock, reproduce } from "../lib/notebook/mod.ts";
import { runCommand } from "../lib/runtime/mod.ts";

const standard = relative(Deno.cwd(), fileURLToPath(new URL("../notebooks", import.meta.url))) || ".";

await runCommand({
  usage: "deno task reproduce",
  about: "Runs the notebooks on the Deno kernel and writes OUT/NN_name.html, OUT/NN_name.ipynb, OUT/index.html and " +
    "OUT/results.json.",
  flags: {
    profile: { type: "string", default: "quick", value: "NAME", help: "how much to run: a file of configs/profiles" },
    only: { type: "string", value: "01,02", help: "these notebooks only" },
    out: { type: "string", default: "reports", value: "DIR", help: "where the reports go" },
    seed: { type: "string", value: "N", help: "start of all random numbers (default: the profile's)" },
    source: { type: "string", value: "NAME", help: "raw pictures: sprites, folder:PATH … (default: the profile's)" },
    notebooks: { type: "string", default: standard, value: "DIR", help: "folder of the notebooks" },
  },
  async run({ profile, only, out, seed, source, notebooks, json }) {
    if (source !== undefined) Deno.env.set("POKEDEX_SOURCE", parseSource(source, "--source", Deno.cwd()));
    const say = json ? console.error : console.log;
    const reproduction = await reproduce({
      notebooks,
      out,
      profile,
      only: only?.split(",").map((one) => one.trim()).filter(Boolean),
      seed: seed === undefined ? undefined : parseSeed(seed, "--seed"),
      onCell: cellPrinter(),
      onNotebook: (name, { status, seconds, report }) =>
        say(`${name}: ${status === "ok" ? "done" : "failed"} in ${clock(seconds)} → ${out}/${report}`),
    });
    for (const failure of reproduction.failures) console.error(`error: ${failure}`);
    return { ok: reproduction.ok, ...reproduction.results };
  },
});

/** One line that changes in a terminal; in a log, a line for each cell that took long enough to wonder about. */
function cellPrinter(): (notebook: string, event: CellEvent) => void {
  const terminal = Deno.stderr.isTerminal();
  const write = (text: string) => void Deno.stderr.writeSync(new TextEncoder().encode(text));
  return (notebook, event) => {
    const share = Math.floor(100 * (event.cell - (event.kind === "start" ? 1 : 0)) / event.cells);
    const line = `${notebook} ${share} % (cell ${event.cell}/${event.cells})`;
    if (terminal) write(`\r\u001b[K${line}${event.kind === "start" ? " " + event.excerpt.slice(0, 40) : ""}`);
    else if (event.kind === "end" && event.seconds >= 1) write(`${line} ${event.seconds.toFixed(1)} s\n`);
    if (terminal && event.kind === "end") write("\r\u001b[K");
  };
}
