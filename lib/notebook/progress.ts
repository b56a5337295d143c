/** Progress of long work, in a notebook (one display that changes), a terminal (one line) or a log (a line now and then). */

import type { ProgressListener, ProgressReport } from "../runtime/mod.ts";
import { escapeHtml, jupyter, showBundle } from "./display.ts";

export interface ProgressOptions {
  /** Items in all, where known. */
  readonly total?: number | undefined;
  /** What one item is, for the rate: "images". */
  readonly unit?: string | undefined;
}

/** Where progress is drawn. */
export interface ProgressSurface {
  /** Milliseconds between two drawings. */
  readonly interval: number;
  /** In a log, also draw whenever another tenth is done. */
  readonly tenths: boolean;
  draw(state: ProgressState, last: boolean): void | Promise<void>;
}

/** What there is to draw. */
export interface ProgressState extends ProgressReport {
  /** Seconds since the start. */
  readonly seconds: number;
  /** Items a second since the start, those that were done before not counted. */
  readonly rate: number;
}

/** A bar: call it with reports (it is a ProgressListener), count with it, or let it walk through items. */
export interface Progress extends ProgressListener {
  /** Counts `items` more as done. */
  advance(items?: number, note?: string): void;
  /** Yields the items and counts them. */
  over<Item>(items: Iterable<Item> | AsyncIterable<Item>): AsyncGenerator<Item>;
  /** Draws the final state; resolves when it is on the screen. A bar that reached its total is final by itself. */
  end(): Promise<void>;
}

/**
 * A progress bar. Pass it where a library takes a ProgressListener; a report with another label begins another bar.
 *
 * ```ts ignore
 * const bar = progress("decode", { total: files.length, unit: "images" });
 * for await (const file of bar.over(files)) await decode(file);
 * ```
 */
export function progress(
  label: string,
  options: ProgressOptions = {},
  makeSurface: () => ProgressSurface = defaultSurface,
  now: () => number = () => performance.now(),
): Progress {
  const { total, unit } = options;
  let bar: Bar | undefined;
  const report = (next: ProgressReport) => {
    if (bar && bar.label !== next.label) {
      bar.end();
      bar = undefined;
    }
    bar ??= new Bar(next, makeSurface(), now);
    bar.report(next);
  };
  const full = (done: number, note?: string): ProgressReport => ({ label, done, total, unit, note });
  let done = 0;
  return Object.assign(report, {
    advance(items?: number, note?: string) {
      report(full(done += items ?? 1, note));
    },
    async *over<Item>(items: Iterable<Item> | AsyncIterable<Item>): AsyncGenerator<Item> {
      const length = total ?? (Array.isArray(items) ? items.length : undefined);
      report({ ...full(done), total: length });
      for await (const item of items) {
        yield item;
        report({ ...full(++done), total: length });
      }
      await bar?.end();
    },
    async end() {
      await bar?.end();
    },
  });
}

class Bar {
  readonly label: string;
  readonly #surface: ProgressSurface;
  readonly #now: () => number;
  readonly #start: number;
  /** Items that were done when the bar began: they say nothing about the rate. */
  readonly #before: number;
  #state: ProgressReport;
  #drawnAt = -Infinity;
  #drawnTenth = -1;
  #ended = false;
  #drawing: Promise<void> = Promise.resolve();
  /** Drawings that have not come to their end: only a notebook's take time. */
  #pending = 0;

  constructor(first: ProgressReport, surface: ProgressSurface, now: () => number) {
    this.label = first.label;
    this.#surface = surface;
    this.#now = now;
    this.#start = now();
    this.#before = first.done;
    this.#state = first;
  }

  report(next: ProgressReport): void {
    this.#state = next;
    if (this.#ended) {
      if (next.total !== undefined && next.done >= next.total) return;
      this.#ended = false; // the work goes on after all
    }
    if (next.total !== undefined && next.done >= next.total) {
      this.end();
      return;
    }
    const tenth = next.total ? Math.floor(10 * next.done / next.total) : -1;
    const due = this.#now() - this.#drawnAt >= this.#surface.interval;
    if (due || (this.#surface.tenths && tenth > this.#drawnTenth)) this.#draw(false);
  }

  end(): Promise<void> {
    if (!this.#ended) {
      this.#ended = true;
      this.#draw(true);
    }
    return this.#drawing;
  }

  #draw(last: boolean): void {
    const { done, total } = this.#state;
    this.#drawnAt = this.#now();
    this.#drawnTenth = total ? Math.floor(10 * done / total) : -1;
    const seconds = (this.#now() - this.#start) / 1000;
    const state = { ...this.#state, seconds, rate: seconds > 0 ? (done - this.#before) / seconds : 0 };
    const paint = () => this.#surface.draw(state, last);
    if (this.#pending === 0) {
      try {
        this.#follow(paint());
      } catch {
        // a bar must not fail the work
      }
    } else this.#follow(this.#drawing.then(paint)); // an older state never overwrites a newer one
  }

  #follow(drawing: void | Promise<void>): void {
    if (!(drawing instanceof Promise)) return;
    this.#pending++;
    this.#drawing = drawing.catch(() => {}).then(() => void this.#pending--);
  }
}

/** "images 42 % (420/1,000 images, 118/s, 0:05 left) loss 1.2" */
export function progressText(state: ProgressState, last = false): string {
  const { label, done, total, unit, seconds, rate, note } = state;
  const share = total ? ` ${Math.floor(100 * Math.min(1, done / total))} %` : "";
  const count = `${done.toLocaleString("en-US")}${total === undefined ? "" : "/" + total.toLocaleString("en-US")}`;
  const speed = rate > 0 ? `, ${formatRate(rate)}/s` : "";
  const left = last
    ? `, ${clock(seconds)}`
    : rate > 0 && total !== undefined
    ? `, ${clock((total - done) / rate)} left`
    : `, ${clock(seconds)}`;
  return `${label}${share} (${count}${unit ? " " + unit : ""}${speed}${left})${note ? " " + note : ""}`;
}

function formatRate(rate: number): string {
  return rate >= 10 ? Math.round(rate).toLocaleString("en-US") : rate.toPrecision(2);
}

/** Seconds as "0:07", "12:30" or "1:02:03". */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const two = (value: number) => String(value).padStart(2, "0");
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** Where progress is drawn unless told otherwise: in the notebook, on the terminal, or as lines of a log. */
export function defaultSurface(): ProgressSurface {
  if (jupyter()) return notebookSurface();
  return Deno.stderr.isTerminal() ? terminalSurface() : logSurface();
}

/** One display, updated in place. */
export function notebookSurface(display: typeof showBundle = showBundle): ProgressSurface {
  const id = `progress-${crypto.randomUUID()}`;
  let shown = false;
  return {
    interval: 250,
    tenths: false,
    async draw(state, last) {
      const text = progressText(state, last);
      const value = state.total
        ? ` max="${state.total}" value="${Math.min(state.done, state.total)}"`
        : last
        ? ` value="1"`
        : "";
      const bundle = {
        "text/html": `<div><progress${value} style="width:12em;vertical-align:middle"></progress> ${
          escapeHtml(text)
        }</div>`,
        "text/plain": text,
      };
      await display(bundle, { id, update: shown });
      shown = true;
    },
  };
}

/** One line, redrawn; cut to the terminal's width. */
export function terminalSurface(
  write: (text: string) => void = (text) => void Deno.stderr.writeSync(new TextEncoder().encode(text)),
  width: () => number = terminalWidth,
): ProgressSurface {
  return {
    interval: 100,
    tenths: false,
    draw(state, last) {
      const share = state.total ? Math.min(1, state.done / state.total) : last ? 1 : 0;
      const cells = 20;
      const full = Math.round(share * cells);
      const line = `${"█".repeat(full)}${"░".repeat(cells - full)} ${progressText(state, last)}`;
      write(`\r\u001b[K${[...line].slice(0, Math.max(20, width() - 1)).join("")}${last ? "\n" : ""}`);
    },
  };
}

function terminalWidth(): number {
  try {
    return Deno.consoleSize().columns;
  } catch {
    return 80;
  }
}

/** A line every 5 s, and at every tenth of the whole. */
export function logSurface(
  write: (line: string) => void = (line) => console.error(line),
): ProgressSurface {
  return {
    interval: 5000,
    tenths: true,
    draw: (state, last) => write(progressText(state, last)),
  };
}
