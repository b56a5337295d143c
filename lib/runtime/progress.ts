/** What long work tells about itself; `lib/notebook` draws it. */

/** One report of a long piece of work. */
export interface ProgressReport {
  /** What is being done, e.g. "train images". */
  readonly label: string;
  /** Items finished so far, items skipped because they were finished before included. */
  readonly done: number;
  /** Items in all; undefined while unknown. */
  readonly total?: number | undefined;
  /** What one item is, for the rate: "images", "steps". */
  readonly unit?: string | undefined;
  /** A few more figures worth a look: loss, learning rate. */
  readonly note?: string | undefined;
}

/** Takes reports; called often, so it must be cheap and must not throw. */
export type ProgressListener = (report: ProgressReport) => void;
