/** Tests of line_file.ts. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { WorkError } from "./errors.ts";
import { LineFile } from "./line_file.ts";

Deno.test("a file of lines goes on after its last whole line; what a kill left of another is gone", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = join(folder, "lines.jsonl");
    {
      using lines = new LineFile(path);
      lines.append("1");
      lines.append("é");
      lines.flush();
    }
    await Deno.writeTextFile(path, '{"half', { append: true });
    {
      using lines = new LineFile(path);
      assert.equal(await Deno.readTextFile(path), "1\né\n");
      lines.append("3");
    }
    assert.equal(await Deno.readTextFile(path), "1\né\n3\n");
    await Deno.writeTextFile(path, "no line at all");
    using lines = new LineFile(path);
    lines.append("first");
    assert.equal(await Deno.readTextFile(path), "first\n");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test({
  name: "a full disk is a WorkError that names the file",
  ignore: Deno.build.os !== "linux",
  fn() {
    using lines = new LineFile("/dev/full");
    assert.throws(
      () => lines.append("x"),
      (error) => error instanceof WorkError && /dev\/full.*no space/.test(error.message),
    );
  },
});
