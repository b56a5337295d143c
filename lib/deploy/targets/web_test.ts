/** The browser's package in a browser: onnxruntime-web's answers beside the library's. Ignored where no Chromium is installed. */

import assert from "node:assert/strict";
import { basename, join } from "node:path";
import sharp from "sharp";
import { exportTarget } from "./export_target.ts";
import { drawPictures } from "./export_fixture.ts";
import { openModel, predictPictures } from "../../experiment/mod.ts";
import { findChromium, visit } from "../../../tests/chromium.ts";

const TYPES: Readonly<Record<string, string>> = {
  html: "text/html",
  mjs: "text/javascript",
  wasm: "application/wasm",
  json: "application/json",
  png: "image/png",
  jpg: "image/jpeg",
};

/** Chosen by a person's script: the file input gets a picture, as a click gives it. */
const CHOOSE = `(async () => {
  const blob = await (await fetch("selftest-1.png")).blob();
  const chosen = new DataTransfer();
  chosen.items.add(new File([blob], "picture.png", { type: "image/png" }));
  const input = document.getElementById("file");
  input.files = chosen.files;
  input.dispatchEvent(new Event("change"));
  for (let n = 0; n < 200 && !document.querySelector("#guesses li"); n++) await new Promise((done) => setTimeout(done, 50));
})()`;

Deno.test({
  name: "in a browser the page says of pictures what the library says, and loads nothing from elsewhere",
  ignore: findChromium() === undefined,
  async fn() {
    const folder = await Deno.makeTempDir({ prefix: "pokedex_web_" });
    const place = join(folder, "page"), asked: string[] = [];
    await using model = await openModel("pokedex-1025");
    await exportTarget(model, "web", place, { budget: 7e6 });
    const pictures = await drawPictures(join(folder, "pictures"));
    // Opaque, and small enough not to be shrunk: nothing is left to the browser's rounding.
    await sharp(pictures[0]!).flatten({ background: "#c84" }).png().toFile(join(place, "exact.png"));
    for (const path of pictures) await Deno.copyFile(path, join(place, basename(path)));
    const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, async (request) => {
      const name = new URL(request.url).pathname.slice(1) || "index.html";
      asked.push(name);
      try {
        const headers = { "content-type": TYPES[name.split(".").at(-1)!] ?? "text/plain; charset=utf-8" };
        return new Response((await Deno.open(join(place, name))).readable, { headers });
      } catch {
        return new Response("none", { status: 404 });
      }
    });
    try {
      const files = [
        ...pictures.map((path) => basename(path)),
        "selftest-1.png",
        "selftest-2.png",
        "selftest-3.png",
        "exact.png",
      ];
      const { complaints, value } = await visit(`http://127.0.0.1:${server.addr.port}/`, {
        width: 700,
        evaluate: `(async () => {
          const { classify, pixelsOf } = await import("./app.mjs"), answers = [];
          for (const file of ${JSON.stringify(files)}) {
            answers.push(await classify(await pixelsOf(await (await fetch(file)).blob()), 3));
          }
          await ${CHOOSE};
          return { answers, shown: document.getElementById("guesses").innerText, said: document.getElementById("status").innerText };
        })()`,
        ...(Deno.env.get("SCREENSHOT") ? { screenshot: Deno.env.get("SCREENSHOT")! } : {}),
      });
      assert.deepEqual(complaints, []);
      const { answers, shown, said } = value as {
        answers: { name: string; score: number }[][];
        shown: string;
        said: string;
      };
      const expected = await predictPictures(model, files.map((file) => join(place, file)), { top: 3 });
      for (const [i, { image, top: [best] }] of expected.entries()) {
        const [found] = answers[i]!;
        assert.equal(found!.name, best!.name, image);
        // A browser rounds half-transparent and shrunk pixels its own way, and has its own JPEG decoder.
        assert.ok(
          Math.abs(found!.score - best!.score) <= (image.endsWith("exact.png") ? 1e-4 : 0.02),
          `${image}: ${found!.score} beside ${best!.score}`,
        );
        if (Deno.env.get("SCREENSHOT")) console.log(basename(image), found!.score, best!.score);
      }
      assert.ok(shown.startsWith(expected[6]!.top[0]!.name), shown);
      assert.match(said, /^\d+ ms on wasm$/);
      assert.ok(asked.includes("ort/ort-wasm-simd-threaded.wasm") && !asked.some((name) => name.includes("asyncify")));
    } finally {
      await server.shutdown();
      await Deno.remove(folder, { recursive: true });
    }
  },
});
