/** Key figures: the numbers that a notebook stands for, shown in it and collected into `reports/results.json`. */

import { InputError } from "../runtime/mod.ts";
import { type Displayable, escapeHtml, jupyterDisplay, mime, type MimeBundle, show } from "./display.ts";
import { formatValue } from "./table.ts";

export interface KeyFigureOptions {
  /** Unit, e.g. "%", "images/s"; a share is given as a percentage with the unit "%". */
  readonly unit?: string | undefined;
  /** How many items the figure was measured on. */
  readonly n?: number | undefined;
  /** Its 95 % confidence interval, in the unit of the value. */
  readonly ci95?: readonly [low: number, high: number] | undefined;
  /** The split it was measured on. */
  readonly split?: "train" | "validation" | "test" | undefined;
  /** Digits behind the point where it is shown; results.json keeps them all. By default 0 for whole numbers, else 1. */
  readonly decimals?: number | undefined;
}

/** A key figure as results.json holds it. */
export interface KeyFigure {
  readonly name: string;
  readonly value: number;
  readonly unit?: string;
  readonly n?: number;
  readonly ci95?: readonly [low: number, high: number];
  readonly split?: string;
  readonly decimals: number;
}

/**
 * Shows a figure and records it under its name (unique within a notebook; a later one of the same name replaces it).
 * Throws InputError for a value that is not a finite number, or an interval that does not hold it.
 */
export async function keyFigure(name: string, value: number, options: KeyFigureOptions = {}): Promise<void> {
  await show(new ShownKeyFigure(makeKeyFigure(name, value, options)));
}

/** Checks and completes a key figure. */
export function makeKeyFigure(name: string, value: number, options: KeyFigureOptions = {}): KeyFigure {
  const { unit, n, ci95, split, decimals = Number.isInteger(value) ? 0 : 1 } = options;
  if (!Number.isFinite(value)) throw new InputError(`key figure "${name}": expected a finite number, found ${value}`);
  if (ci95 && !(ci95[0] <= value && value <= ci95[1])) {
    throw new InputError(
      `key figure "${name}": expected a 95 % interval that holds ${value}, found ${ci95.join(" … ")}`,
    );
  }
  return {
    name,
    value,
    ...(unit === undefined ? {} : { unit }),
    ...(n === undefined ? {} : { n }),
    ...(ci95 === undefined ? {} : { ci95: [ci95[0], ci95[1]] as const }),
    ...(split === undefined ? {} : { split }),
    decimals,
  };
}

/** The value with its unit: "72.4 %". */
export function figureValue(figure: KeyFigure): string {
  return formatValue(figure.value, figure.decimals) + (figure.unit ? `\u00a0${figure.unit}` : "");
}

/** What stands behind it: "95 %: 70.1 … 74.5, n = 1,530, test". */
export function figureDetail(figure: KeyFigure): string {
  const { ci95, n, split, decimals } = figure;
  return [
    ci95 && `95\u00a0% interval ${formatValue(ci95[0], decimals)}\u2009…\u2009${formatValue(ci95[1], decimals)}`,
    n === undefined ? undefined : `n\u00a0=\u00a0${formatValue(n)}`,
    split,
  ].filter((part) => part !== undefined).join(" · ");
}

class ShownKeyFigure implements Displayable {
  constructor(readonly figure: KeyFigure) {}

  [jupyterDisplay](): MimeBundle {
    const detail = figureDetail(this.figure);
    return {
      [mime.keyFigure]: this.figure,
      "text/html": `<p><span>${escapeHtml(this.figure.name)}: </span><strong style="font-size:1.3em">${
        escapeHtml(figureValue(this.figure))
      }</strong>${detail ? ` <span style="opacity:.8">${escapeHtml(detail)}</span>` : ""}</p>`,
      "text/plain": `${this.figure.name}: ${figureValue(this.figure)}${detail ? ` (${detail})` : ""}`,
    };
  }
}
