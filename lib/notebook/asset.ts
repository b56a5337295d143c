/** Scripts and styles that pages carry. */

/** The text of a file of `assets/`. */
export function asset(name: string): Promise<string> {
  return Deno.readTextFile(new URL(`./assets/${name}`, import.meta.url));
}
