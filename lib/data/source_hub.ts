/** The source `hub:OWNER/NAME`: a dataset repository on the Hugging Face Hub. */

import { InputError } from "../runtime/mod.ts";

/** A dataset repository. */
export interface HubRepository {
  readonly owner: string;
  readonly name: string;
}

/** Reads "hub:OWNER/NAME". Throws InputError when it is none: both parts are letters, digits, ".", "_" and "-". */
export function parseHubName(text: string): HubRepository {
  const match = /^hub:([A-Za-z0-9][\w.-]*)\/([A-Za-z0-9][\w.-]*)$/.exec(text);
  if (!match) throw new InputError(`--source: expected hub:OWNER/NAME, found "${text}"`);
  return { owner: match[1]!, name: match[2]! };
}
