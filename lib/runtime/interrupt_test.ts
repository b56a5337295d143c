/** Tests of interrupt.ts, in processes of their own. */

import assert from "node:assert/strict";

const module = new URL("./interrupt.ts", import.meta.url).href;

/** A process that says "ready", then "stopping" when it is interrupted, and needs `milliseconds` to end cleanly. */
function start(milliseconds: number) {
  const script = `const { watchInterrupt } = await import(${JSON.stringify(module)});
    using interrupt = watchInterrupt(() => console.log("stopping"));
    const stopped = new Promise((resolve) => interrupt.signal.addEventListener("abort", resolve));
    const alive = setInterval(() => {}, 1000);
    console.log("ready");
    await stopped;
    await new Promise((resolve) => setTimeout(resolve, ${milliseconds}));
    clearInterval(alive);
    console.log("clean");
    Deno.exit(interrupt.exitStatus);`;
  const child = new Deno.Command(Deno.execPath(), { args: ["eval", script], stdout: "piped", stderr: "null" }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  const until = async (word: string) => {
    while (!text.includes(word)) {
      const { value, done } = await reader.read();
      if (done) return;
      text += value;
    }
  };
  return { child, until, text: () => text };
}

Deno.test({
  name: "the first signal lets work end cleanly with 130 or 143, the second ends the process at once",
  ignore: Deno.build.os === "windows", // has no signals to send
  fn: async () => {
    for (const [signal, status] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
      const { child, until, text } = start(10);
      await until("ready");
      child.kill(signal);
      await until("end of output");
      assert.deepEqual([(await child.status).code, text()], [status, "ready\nstopping\nclean\n"]);
    }
    const { child, until, text } = start(60_000);
    await until("ready");
    child.kill("SIGINT");
    await until("stopping");
    child.kill("SIGINT");
    await until("end of output");
    assert.deepEqual([(await child.status).code, text()], [130, "ready\nstopping\n"]);
  },
});
