/** Where a cell's syntax is wrong: the kernel says only "Execution failed", Deno's formatter says what and where. */

/** "SyntaxError at line 2, column 5: Expression expected", or undefined when the syntax is right. */
export async function syntaxError(source: string): Promise<string | undefined> {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--no-config", "--quiet", "--ext", "ts", "-"],
    env: { NO_COLOR: "1" },
    stdin: "piped",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const writer = process.stdin.getWriter();
  await writer.write(new TextEncoder().encode(source)).then(() => writer.close()).catch(() => {});
  const { success, stderr } = await process.output();
  if (success) return undefined;
  const text = new TextDecoder().decode(stderr);
  const message = /SyntaxError: (.+)/.exec(text)?.[1];
  if (!message) return undefined;
  const place = /:(\d+):(\d+)\s*$/m.exec(text);
  return `SyntaxError${place ? ` at line ${place[1]}, column ${place[2]}` : ""}: ${message}`;
}
