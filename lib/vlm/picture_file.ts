/** A picture file in memory, as it is. */

import { augment, decodeFile, type Picture } from "../data/mod.ts";
import { describeError, InputError, reason } from "../runtime/mod.ts";

/** Decodes a file as building a data set does, of an animation the first frame. Throws InputError that names the file. */
export async function readPicture(path: string): Promise<Picture> {
  let bytes: Uint8Array;
  try {
    bytes = await Deno.readFile(path);
  } catch (error) {
    throw new InputError(`${path}: expected a picture, found ${reason(error)}`, { cause: error });
  }
  const { pictures: [picture] } = await decodeFile(bytes).catch((error) => {
    throw new InputError(`${path}: ${describeError(error)}`, { cause: error });
  });
  return augment.pictureFrom(picture!.data, picture!.width, picture!.height, 4);
}
