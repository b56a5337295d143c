/** A model's files from the Hugging Face Hub, or a server that answers as it does. */

import { join } from "node:path";
import { hubUrl } from "../../models/mod.ts";
import {
  describeError,
  downloadFile,
  exists,
  fileProblem,
  InputError,
  type ProgressListener,
  readJson,
  retry,
  type RetryOptions,
  WorkError,
} from "../../runtime/mod.ts";
import { type Precision, precisionSuffix } from "./known_models.ts";

/** How the Hub is asked. */
export interface HubOptions {
  /** Default: `$HF_ENDPOINT`, else `env.remoteHost` of transformers.js: https://huggingface.co. */
  readonly host?: string | undefined;
  readonly onProgress?: ProgressListener | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Default: 3 attempts where the server does not answer. */
  readonly retry?: RetryOptions | undefined;
}

/** What the Hub says of a file. */
interface RemoteFile {
  readonly url: string;
  readonly bytes?: number | undefined;
  /** Of files in its large storage. */
  readonly sha256?: string | undefined;
  readonly commit?: string | undefined;
}

/**
 * Downloads what a model needs into a folder, whole files only, checked by size and SHA-256 where the Hub tells them; what was
 * broken off goes on. Returns the commit, where the server tells it. Throws InputError for a model, revision or precision that the
 * Hub does not have, WorkError when it does not answer.
 */
export async function fetchModel(
  name: string,
  revision: string,
  folder: string,
  precision: Precision,
  options: HubOptions,
): Promise<string | undefined> {
  const hub = new Hub(name, revision, await hostOf(options), options);
  const config = await hub.look("config.json");
  if (!config) throw await hub.unknown();
  const all = new Map<string, RemoteFile>([["config.json", config]]);
  const need = async (file: string) => {
    const found = await hub.look(file);
    if (found) all.set(file, found);
    return found !== undefined;
  };
  for (const file of ["preprocessor_config.json", "tokenizer.json", "tokenizer_config.json"]) {
    if (!await need(file)) throw new InputError(`${name}: expected ${file} on ${hub.host}, found none`);
  }
  const suffix = precisionSuffix(precision);
  const onnx = (part: string) => `onnx/${part}${suffix}.onnx`;
  const two = await need(onnx("text_model")) && await need(onnx("vision_model"));
  if (!two && !await need(onnx("model"))) {
    throw new InputError(
      `${name}: expected ${onnx("text_model")} and ${onnx("vision_model")}, or ${
        onnx("model")
      } (${precision}) on ${hub.host}, found none`,
    );
  }
  for (const [file, remote] of all) await hub.fetch(file, remote, join(folder, file));
  // Weights of over 2 GB stand beside their file: model.onnx_data, model.onnx_data_1, …
  if (hasExternalData(await readJson(join(folder, "config.json")))) {
    for (const file of [...all.keys()].filter((each) => each.endsWith(".onnx"))) {
      for (let part = 0;; part++) {
        const data = part === 0 ? `${file}_data` : `${file}_data_${part}`;
        const remote = await hub.look(data);
        if (!remote) break;
        await hub.fetch(data, remote, join(folder, data));
      }
    }
  }
  return config.commit;
}

function hasExternalData(config: unknown): boolean {
  const own =
    (config as { "transformers.js_config"?: { use_external_data_format?: unknown } })["transformers.js_config"];
  return Boolean(own?.use_external_data_format);
}

async function hostOf({ host }: HubOptions): Promise<string> {
  const { env } = await import("@huggingface/transformers");
  return (host ?? Deno.env.get("HF_ENDPOINT") ?? env.remoteHost).replace(/\/+$/, "");
}

class Hub {
  constructor(
    readonly name: string,
    readonly revision: string,
    readonly host: string,
    readonly options: HubOptions,
  ) {}

  /** What the server says of a file; undefined when it has none. Throws WorkError when it does not answer. */
  async look(file: string, revision = this.revision): Promise<RemoteFile | undefined> {
    const url = hubUrl({ repository: this.name, file, revision, base: this.host }, file);
    let response: Response;
    try {
      response = await retry(async () => {
        const { signal } = this.options;
        const asked = await fetch(url, {
          method: "HEAD",
          redirect: "manual",
          headers: { "accept-encoding": "identity", ...this.#authorization() },
          signal: signal ? AbortSignal.any([signal, AbortSignal.timeout(30_000)]) : AbortSignal.timeout(30_000),
        });
        await asked.body?.cancel();
        if (asked.status >= 500 || asked.status === 429) throw new WorkError(`status ${asked.status}`);
        return asked;
      }, { attempts: 3, ...this.options.retry, ...(this.options.signal ? { signal: this.options.signal } : {}) });
    } catch (cause) {
      this.options.signal?.throwIfAborted();
      throw new WorkError(
        `${this.name}: expected ${this.host} to answer, found: ${
          describeError(cause, 160)
        }; without the network, name a folder that has the model's files (also as $POKEDEX_CLIP)`,
        { cause },
      );
    }
    const { status, headers } = response;
    if (status === 404 || (status === 401 && headers.get("x-error-code") !== "GatedRepo")) return undefined;
    if (status >= 400) {
      throw new WorkError(
        `${url}: expected the file, found status ${status} ${headers.get("x-error-code") ?? ""}`.trimEnd() +
          (status === 401 || status === 403 ? "; a closed model wants $HF_TOKEN" : ""),
      );
    }
    const size = headers.get("x-linked-size") ?? (status === 200 ? headers.get("content-length") : null);
    const tag = headers.get("x-linked-etag")?.replace(/^"|"$/g, "");
    return {
      url,
      bytes: size === null ? undefined : Number(size),
      sha256: tag !== undefined && /^[0-9a-f]{64}$/.test(tag) ? tag : undefined,
      commit: headers.get("x-repo-commit") ?? undefined,
    };
  }

  /** Why there is no config.json: the model or the revision is not known. */
  async unknown(): Promise<InputError> {
    const other = this.revision !== "main" && await this.look("config.json", "main") !== undefined;
    return new InputError(
      other
        ? `${this.name}: expected a revision that ${this.host} has, found "${this.revision}" (it has "main")`
        : `${this.name}: expected a model that ${this.host} has, with config.json at revision "${this.revision}", found none`,
    );
  }

  async fetch(file: string, { url, bytes, sha256 }: RemoteFile, path: string): Promise<void> {
    // A whole file is not hashed again at every attempt to complete a model.
    if (await exists(path) && await fileProblem(path, { bytes }) === undefined) return;
    const { onProgress, signal } = this.options;
    await downloadFile(url, path, {
      bytes,
      sha256,
      signal,
      headers: this.#authorization(),
      retry: this.options.retry,
      ...(onProgress ? { onProgress: (report) => onProgress({ ...report, label: `${this.name} ${file}` }) } : {}),
    });
  }

  /** The token goes to the Hub alone. */
  #authorization(): Record<string, string> {
    const token = Deno.env.get("HF_TOKEN");
    const own = /^https:\/\/(huggingface\.co|hf\.co)$/.test(this.host);
    return token && own ? { authorization: `Bearer ${token}` } : {};
  }
}
