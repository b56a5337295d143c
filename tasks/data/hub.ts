/** Sub-commands of `deno task data` whose transport is not there yet. */

/** One clear line, status 1. */
export function notYet(command: string): Promise<never> {
  console.error(`error: deno task data ${command}: expected lib/hub, which carries it, found that it is not built yet`);
  return Promise.resolve(Deno.exit(1));
}
