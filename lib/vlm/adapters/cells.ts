/** The cells of a few-shot table: an adapter on so many shots with a seed. */

import type { Share } from "../../evaluate/mod.ts";
import { ensureParent, exists, LineFile } from "../../runtime/mod.ts";
import type { Settings } from "./adapter.ts";
import type { Shots } from "./sample_shots.ts";

/** What a cell is of. */
export interface CellPlace {
  readonly adapter: string;
  /** 0 for an adapter that does not learn. */
  readonly shots: Shots;
  readonly seed: number;
}

/** An adapter was fitted and judged. */
export interface FinishedCell extends CellPlace {
  readonly status: "finished";
  /** Pictures learnt from, and those settings were chosen by. */
  readonly pictures: number;
  readonly validationPictures: number;
  /** On the test pictures, with Wilson's 95 % intervals. */
  readonly top1: Share;
  readonly top5: Share;
  readonly chosen: Settings;
  /** Of fitting, the search of settings included. */
  readonly seconds: number;
}

/** An adapter threw. */
export interface FailedCell extends CellPlace {
  readonly status: "failed";
  /** The error, in one line. */
  readonly problem: string;
}

/** One of the two. */
export type Cell = FinishedCell | FailedCell;

/** Cells that were written down, by the hash of all that decides them. */
export class CellFile implements Disposable {
  readonly #known: Map<string, Cell>;
  readonly #file: LineFile | undefined;

  private constructor(known: Map<string, Cell>, file: LineFile | undefined) {
    this.#known = known;
    this.#file = file;
  }

  /** Opens a file of JSON lines, or makes it; without a path cells are kept in memory only. A line that is no cell is passed over. */
  static async open(path: string | undefined): Promise<CellFile> {
    const known = new Map<string, Cell>();
    if (path === undefined) return new CellFile(known, undefined);
    if (await exists(path)) {
      for (const line of (await Deno.readTextFile(path)).split("\n")) {
        try {
          const { key, ...cell } = JSON.parse(line) as Cell & { key: string };
          if (typeof key === "string") known.set(key, cell as Cell);
        } catch {
          // half a line, which a killed process left
        }
      }
    }
    await ensureParent(path);
    return new CellFile(known, new LineFile(path));
  }

  /** The finished cell of a key; one that failed is tried again. */
  finished(key: string): FinishedCell | undefined {
    const cell = this.#known.get(key);
    return cell?.status === "finished" ? cell : undefined;
  }

  add(key: string, cell: Cell): void {
    this.#known.set(key, cell);
    this.#file?.append(JSON.stringify({ key, ...cell }));
  }

  [Symbol.dispose](): void {
    this.#file?.[Symbol.dispose]();
  }
}
