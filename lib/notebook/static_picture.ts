/** A chart as a static picture: SVG by Vega-Lite without a browser, PNG from it. For reports without JavaScript and for print. */

import type { Config, TopLevelSpec } from "vega-lite";
import {
  type Axis,
  axisText,
  type Chart,
  histogramBins,
  palette,
  type ParallelChart,
  quantile,
  seriesColor,
} from "./chart.ts";
import { parallelColors, parallelDrawing } from "./parallel.ts";
import { chartHeight } from "./plotly.ts";
import { textFont, useBundledFont } from "./font.ts";

const plotWidth = 640;

/**
 * Draws the chart as SVG. Texts and lines have the colour of the page around (`currentColor`); opened alone they follow
 * the system's light or dark setting.
 */
export async function toSvg(chart: Chart, { title = true }: { readonly title?: boolean } = {}): Promise<string> {
  const [vega, vegaLite] = await Promise.all([import("vega"), import("vega-lite")]);
  const spec = vegaLiteSpec(chart, title);
  const silent = { level: () => silent, error: log, warn: log, info: log, debug: log };
  function log() {
    return silent;
  }
  const compiled = vegaLite.compile(spec, { logger: silent as never }).spec;
  const view = new vega.View(vega.parse(compiled), { renderer: "none", logger: silent as never });
  try {
    const svg = await view.toSVG();
    const style = "<style>svg{color:#1f2430}@media (prefers-color-scheme:dark){svg{color:#d7dbe4}}</style>";
    return svg.replace(/^<svg [^>]*>/, (tag) => tag + style);
  } finally {
    view.finalize();
  }
}

/** Draws the chart as PNG on white, two pixels a CSS pixel. */
export async function toPng(chart: Chart): Promise<Uint8Array> {
  const { default: sharp } = await import("sharp");
  await useBundledFont();
  const svg = (await toSvg(chart)).replace(/<style>.*?<\/style>/s, "").replaceAll("currentColor", "#1f2430");
  const png = await sharp(new TextEncoder().encode(svg), { density: 144 }).flatten({ background: "#ffffff" })
    .png({ palette: true }).toBuffer();
  return new Uint8Array(png);
}

/** The chart in Vega-Lite's language (https://vega.github.io/vega-lite/docs/). */
export function vegaLiteSpec(chart: Chart, title = true): TopLevelSpec {
  const spec = {
    width: plotWidth,
    height: chartHeight(chart),
    padding: 8,
    ...(title ? { title: { text: chart.title, anchor: "start", fontSize: 16, fontWeight: 600, offset: 12 } } : {}),
    config: theme,
    ...body(chart),
  };
  return spec as TopLevelSpec;
}

const theme: Config = {
  background: "transparent",
  font: textFont,
  view: { stroke: "transparent" },
  range: { category: [...palette], heatmap: { scheme: "viridis" } },
  title: { color: "currentColor" },
  axis: {
    labelColor: "currentColor",
    titleColor: "currentColor",
    domainColor: "currentColor",
    tickColor: "currentColor",
    gridColor: "currentColor",
    domainOpacity: 0.4,
    tickOpacity: 0.4,
    gridOpacity: 0.13,
    labelFontSize: 12,
    titleFontSize: 12.5,
    titleFontWeight: 500,
    labelOverlap: true,
    labelLimit: 230,
  },
  legend: {
    orient: "top",
    title: null,
    labelColor: "currentColor",
    titleColor: "currentColor",
    labelFontSize: 12,
    labelLimit: 220,
    symbolOpacity: 1,
  },
};

type Json = Record<string, unknown>;

function body(chart: Chart): Json {
  switch (chart.kind) {
    case "bar": {
      const amounts = chart.horizontal ? chart.x : chart.y;
      const values = chart.series.flatMap((one) =>
        chart.categories.map((category, i) => ({
          category,
          series: one.name,
          value: one.values[i],
          low: one.low?.[i],
          high: one.high?.[i],
        })).filter((row) => !amounts.log || drawable(row.value, amounts))
      );
      const [along, up] = chart.horizontal ? ["y", "x"] : ["x", "y"];
      const categories = chart.horizontal ? chart.y : chart.x;
      // A logarithmic scale has no zero for bars to stand on: they start at half of the smallest value.
      const floor = amounts.log
        ? amounts.range?.[0] ?? values.reduce((least, row) => Math.min(least, row.value!), Infinity) / 2
        : undefined;
      const many = chart.series.length > 1;
      const shared = {
        [along]: nominal("category", chart.categories, axisText(categories), !chart.horizontal),
        ...(many && !chart.stacked ? { [along + "Offset"]: { field: "series", sort: null } } : {}),
      };
      const bars = {
        mark: { type: "bar", ...(many ? {} : { color: palette[0] }) },
        encoding: {
          ...shared,
          [up]: { ...quantitative("value", amounts, true, floor), stack: chart.stacked && !floor ? "zero" : null },
          ...(floor ? { [up + "2"]: { datum: floor } } : {}),
          ...(many ? { color: colorOf(chart.series.map((one) => one.name)) } : {}),
        },
      };
      if (!chart.series.some((one) => one.low && one.high)) return { data: { values }, ...bars };
      const whiskers = {
        mark: { type: "rule", color: "currentColor", opacity: 0.8 },
        encoding: { ...shared, [up]: quantitative("low", amounts), [up + "2"]: { field: "high" } },
      };
      return { data: { values }, layer: [bars, whiskers] };
    }
    case "line": {
      const values = chart.series.flatMap((one) =>
        one.x.map((x, i) => ({ series: one.name, x, y: one.y[i], low: one.low?.[i], high: one.high?.[i] }))
          .filter((row) => drawable(row.x, chart.x) && drawable(row.y, chart.y))
      );
      const color = colorOf(chart.series.map((one) => one.name));
      const x = quantitative("x", chart.x, false);
      const line = {
        mark: { type: "line", strokeWidth: 2, point: values.length <= 40 },
        encoding: { x, y: quantitative("y", chart.y, false), color },
      };
      if (!values.some((row) => row.low !== undefined)) return { data: { values }, ...line };
      const band = {
        transform: [{ filter: "isValid(datum.low) && isValid(datum.high)" }],
        mark: { type: "area", opacity: 0.2 },
        encoding: { x, y: quantitative("low", chart.y, false), y2: { field: "high" }, color },
      };
      return { data: { values }, layer: [band, line] };
    }
    case "scatter": {
      const values = chart.series.flatMap((one) =>
        one.x.map((x, i) => ({ series: one.name, x, y: one.y[i] }))
          .filter((row) => drawable(row.x, chart.x) && drawable(row.y, chart.y))
      );
      return {
        data: { values },
        mark: { type: "circle", size: values.length > 500 ? 14 : 40, opacity: 0.75 },
        encoding: {
          x: quantitative("x", chart.x, false),
          y: quantitative("y", chart.y, false),
          color: colorOf(chart.series.map((one) => one.name)),
        },
      };
    }
    case "histogram": {
      const { edges, counts } = histogramBins(chart);
      const values = chart.series.flatMap((one, s) =>
        counts[s]!.map((count, i) => ({ series: one.name, from: edges[i], to: edges[i + 1], count }))
      );
      return {
        data: { values },
        mark: { type: "bar", opacity: chart.series.length > 1 ? 0.6 : 1, binSpacing: 1 },
        encoding: {
          x: { ...quantitative("from", chart.x, false), bin: { binned: true } },
          x2: { field: "to" },
          y: { ...quantitative("count", chart.y), stack: null },
          color: colorOf(chart.series.map((one) => one.name)),
        },
      };
    }
    case "box": {
      const values = chart.groups.map((group) => ({
        group: group.name,
        ...Object.fromEntries([5, 25, 50, 75, 95].map((p) => [`p${p}`, quantile(group.values, p / 100)])),
      }));
      const x = nominal("group", chart.groups.map((group) => group.name), axisText(chart.x), true);
      const y = (field: string) => quantitative(field, chart.y, false);
      const color = { ...colorOf(chart.groups.map((group) => group.name), "group"), legend: null };
      return {
        data: { values },
        layer: [
          { mark: { type: "rule" }, encoding: { x, y: y("p5"), y2: { field: "p95" }, color } },
          { mark: { type: "bar", size: 34 }, encoding: { x, y: y("p25"), y2: { field: "p75" }, color } },
          { mark: { type: "tick", color: "white", size: 34, thickness: 2 }, encoding: { x, y: y("p50") } },
        ],
      };
    }
    case "heatmap": {
      const values = chart.rows.flatMap((row, r) =>
        chart.columns.map((column, c) => ({ row, column, value: chart.values[r]![c] }))
      ).filter((cell) => Number.isFinite(cell.value));
      return {
        data: { values },
        mark: { type: "rect" },
        encoding: {
          x: nominal("column", chart.columns, axisText(chart.x), true),
          y: nominal("row", chart.rows, axisText(chart.y), false),
          color: {
            field: "value",
            type: "quantitative",
            legend: { orient: "right", title: axisText(chart.color) },
            ...(chart.color.range ? { scale: { domain: [...chart.color.range], scheme: "viridis" } } : {}),
          },
        },
      };
    }
    case "parallel":
      return parallelBody(chart);
  }
}

function parallelBody(chart: ParallelChart): Json {
  const { axes, lines, color } = parallelDrawing(chart);
  const names = axes.map(({ name }) => name);
  const points = lines.flatMap(({ at, color }, item) =>
    at.flatMap((place, i) => place === null ? [] : [{ item, dimension: names[i], at: place, color }])
  );
  const marks = axes.flatMap(({ name, ticks }) => ticks.map((tick) => ({ dimension: name, ...tick })));
  const x = {
    ...{ field: "dimension", type: "nominal", sort: names, title: null },
    // Vega takes letters for a third wider than they are
    axis: { labelAngle: 0, grid: true, labelOverlap: false, labelLimit: 1.4 * plotWidth / names.length },
  };
  const y = { field: "at", type: "quantitative", axis: null };
  const text = (values: readonly Json[], side: Json): Json => ({
    data: { values },
    mark: { type: "text", color: "currentColor", ...side },
    encoding: { x, y, text: { field: "text" } },
  });
  return {
    layer: [
      {
        data: { values: points },
        mark: { type: "line", opacity: 0.85, strokeWidth: 2, point: true },
        encoding: {
          x,
          y,
          detail: { field: "item" },
          color: {
            field: "color",
            type: "quantitative",
            scale: { domain: [...color.range], range: [...parallelColors], interpolate: "rgb" },
            legend: { title: axisText(color), orient: "right" },
          },
        },
      },
      text(marks.filter(({ dimension }) => dimension !== names.at(-1)), { align: "right", dx: -7 }),
      text(marks.filter(({ dimension }) => dimension === names.at(-1)), { align: "left", dx: 7 }),
    ],
  };
}

/** Names stand level where they fit side by side, else steeply. */
function nominal(field: string, names: readonly string[], title: string, across: boolean): Json {
  const widest = Math.max(0, ...names.map((name) => name.length)) * 7.5;
  const axis = !across ? { labelLimit: 260 } : { labelAngle: widest * names.length <= plotWidth ? 0 : -50 };
  return { field, type: "nominal", sort: null, title, axis, scale: { domain: names } };
}

function quantitative(field: string, axis: Axis, zero = true, floor: number | undefined = undefined): Json {
  const scale = {
    ...(axis.log ? { type: "log" } : { zero }),
    ...(floor ? { domainMin: floor } : {}),
    ...(axis.range ? { domain: [...axis.range], clamp: true } : {}),
  };
  return { field, type: "quantitative", title: axisText(axis), scale };
}

function drawable(value: number | undefined, axis: Axis): boolean {
  return value !== undefined && Number.isFinite(value) && (!axis.log || value > 0);
}

function colorOf(names: readonly string[], field = "series"): Json {
  return {
    field,
    type: "nominal",
    sort: null,
    scale: { domain: [...names], range: names.map((_, index) => seriesColor(index)) },
    ...(names.length > 1 ? {} : { legend: null }),
  };
}
