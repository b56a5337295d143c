/** Pretrained weights from where they are: a local file, the official site, the Hub; or none. */

import { join } from "node:path";
import {
  describeError,
  downloadFile,
  type DownloadOptions,
  type FileExpectation,
  fileProblem,
  InputError,
} from "../../runtime/mod.ts";

/** A weights file that is published. */
export interface PublishedWeights {
  readonly url: string;
  /** Its size, which follows from the network: header and four bytes a number. */
  readonly bytes: number;
}

const SITE = "https://pjreddie.com/media/files";

/** Darknet's own weights. */
export const PUBLISHED_WEIGHTS: Readonly<Record<string, PublishedWeights>> = {
  /** The backbone of YOLOv3, trained on ImageNet: the first 52 convolutions. */
  "darknet53.conv.74": { url: `${SITE}/darknet53.conv.74`, bytes: 162_482_580 },
  "darknet53.weights": { url: `${SITE}/darknet53.weights`, bytes: 166_582_580 },
  "yolov3.weights": { url: `${SITE}/yolov3.weights`, bytes: 248_007_048 },
  "yolov3-tiny.weights": { url: `${SITE}/yolov3-tiny.weights`, bytes: 35_434_956 },
};

/** A file in a repository of the Hugging Face Hub, or of a server that answers like it. */
export interface HubFile {
  /** "OWNER/NAME". */
  readonly repository: string;
  /** Default: the weights' name. */
  readonly file?: string;
  /** Default: "main". */
  readonly revision?: string;
  /** Default: "https://huggingface.co". */
  readonly base?: string;
}

/** Settings of `fetchWeights`. */
export interface FetchWeightsOptions extends FileExpectation, Pick<DownloadOptions, "onProgress" | "signal" | "retry"> {
  /** A key of `PUBLISHED_WEIGHTS`, or any file name. */
  readonly name: string;
  /** A file of one's own, looked at first. It is never removed or changed. */
  readonly local?: string | undefined;
  /** Where downloads are kept. Default: ".cache/weights". */
  readonly cache?: string;
  /** Default: that of `PUBLISHED_WEIGHTS`; "none" leaves it out. */
  readonly url?: string;
  readonly hub?: HubFile | undefined;
  /** Told, a line each, what was tried and what came of it. Default: standard error. */
  readonly say?: (line: string) => void;
}

/**
 * The path of a weights file, from the first place that has a good one: the local file, the cache, the official download, the Hub.
 * A file in the cache that is not what it should be is removed and fetched again. Where nothing helps it says so and returns
 * undefined: train from scratch. Throws InputError for a local file that was named and is not there or not good, for that is a slip.
 */
export async function fetchWeights(options: FetchWeightsOptions): Promise<string | undefined> {
  const { name, local, cache = join(".cache", "weights"), hub, say = (line) => console.error(line) } = options;
  if (!/^[\w.-]+$/.test(name) || /^\.+$/.test(name)) {
    throw new InputError(`weights: expected the name of a file, found "${name}"`);
  }
  const published = Object.hasOwn(PUBLISHED_WEIGHTS, name) ? PUBLISHED_WEIGHTS[name] : undefined;
  const expectation: FileExpectation = {
    bytes: options.bytes ?? published?.bytes,
    sha256: options.sha256,
    check: options.check,
  };
  if (local !== undefined) {
    const problem = await fileProblem(local, expectation);
    if (problem === undefined) return local;
    throw new InputError(`${local}: ${problem} (weights ${name})`);
  }
  const path = join(cache, name);
  const cached = await fileProblem(path, expectation);
  if (cached === undefined) return path;
  if (!/nothing there/.test(cached)) {
    await Deno.remove(path, { recursive: true });
    say(`${path}: ${cached}; removed, fetching it again`);
  }
  const url = options.url ?? published?.url;
  const places = [...(url === undefined || url === "none" ? [] : [url]), ...(hub ? [hubUrl(hub, name)] : [])];
  for (const place of places) {
    try {
      await downloadFile(place, path, { ...expectation, ...pick(options) });
      return path;
    } catch (error) {
      options.signal?.throwIfAborted();
      say(describeError(error));
    }
  }
  const tried = places.length === 0 ? "no place to fetch it from is known" : `tried ${places.join(" and ")}`;
  say(
    `weights ${name}: expected a file in ${cache} or a download, found none (${tried}); training starts from scratch`,
  );
  return undefined;
}

/** Where the Hub has a file. */
export function hubUrl(
  { repository, file, revision = "main", base = "https://huggingface.co" }: HubFile,
  name: string,
) {
  const path = [repository, "resolve", revision, file ?? name].join("/");
  return `${base.replace(/\/$/, "")}/${path.split("/").map(encodeURIComponent).join("/")}`;
}

function pick({ onProgress, signal, retry }: FetchWeightsOptions): DownloadOptions {
  return { onProgress, signal, retry };
}
