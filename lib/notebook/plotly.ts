/** A chart as Plotly JSON: traces and layout (https://plotly.com/javascript/reference). */
// deno-lint-ignore-file camelcase -- Plotly's own names

import { type Axis, axisText, type Chart, histogramBins, quantile, seriesColor } from "./chart.ts";
import type { BoxChart, HistogramChart, ParallelChart } from "./chart.ts";
import { parallelColors, parallelDrawing } from "./parallel.ts";

/** Plotly's figure: what `Plotly.newPlot(element, data, layout)` takes. */
export interface PlotlyFigure {
  readonly data: readonly Record<string, unknown>[];
  readonly layout: Record<string, unknown>;
}

/** The name of the annotation that holds a plot's caption in a notebook. */
export const captionName = "caption";

/** Makes the interactive form. Colours of text and grid are left to the page, so that it can be light or dark. */
export function toPlotly(chart: Chart): PlotlyFigure {
  const data = traces(chart);
  const many = data.filter((trace) => trace["showlegend"] !== false).length > 1 && chart.kind !== "box";
  const layout: Record<string, unknown> = {
    title: { text: plotlyText(chart.title), x: 0, xref: "paper", xanchor: "left", font: { size: 16 } },
    height: plotHeight(chart),
    margin: { l: 64, r: 20, t: 56, b: 64 },
    font: { family: "system-ui, 'Segoe UI', Helvetica, Arial, sans-serif", size: 13 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    hoverlabel: { align: "left" },
    showlegend: many,
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
    meta: { title: chart.title, caption: chart.caption, height: plotHeight(chart) },
  };
  if (chart.kind === "parallel") return { data, layout: { ...layout, ...parallelAxes(chart) } };
  layout["xaxis"] = axis(chart.x);
  layout["yaxis"] = axis(chart.y);
  if (chart.kind === "bar") {
    layout["barmode"] = chart.stacked ? "stack" : "group";
    layout[chart.horizontal ? "yaxis" : "xaxis"] = categoryAxis(
      chart.horizontal ? chart.y : chart.x,
      chart.horizontal ? [...chart.categories].reverse() : chart.categories,
    );
  } else if (chart.kind === "histogram") {
    layout["barmode"] = "overlay";
    layout["bargap"] = 0.02;
  } else if (chart.kind === "box") {
    layout["xaxis"] = categoryAxis(chart.x, chart.groups.map((group) => group.name));
  } else if (chart.kind === "heatmap") {
    layout["xaxis"] = categoryAxis(chart.x, chart.columns);
    layout["yaxis"] = { ...categoryAxis(chart.y, chart.rows), autorange: "reversed" };
  }
  return { data, layout };
}

/** Height with axes and title, CSS pixels. */
function plotHeight(chart: Chart): number {
  return chartHeight(chart) + 130;
}

/** Height of the plot area in CSS pixels that fits the content. */
export function chartHeight(chart: Chart): number {
  if (chart.height) return chart.height;
  if (chart.kind === "bar" && chart.horizontal) {
    const rows = chart.categories.length * (chart.stacked ? 1 : chart.series.length);
    return Math.min(1600, Math.max(160, rows * 20 + 30));
  }
  if (chart.kind === "heatmap") return Math.min(900, Math.max(240, chart.rows.length * 22));
  return 300;
}

/** Text in which Plotly sees no tags. */
function plotlyText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function axis(of: Axis): Record<string, unknown> {
  const range = of.range && (of.log ? of.range.map(Math.log10) : [...of.range]);
  return {
    ...axisTitle(of),
    ...(of.log ? { type: "log", nticks: 5 } : {}),
    ...(range ? { range } : {}),
  };
}

function axisTitle(of: Axis): Record<string, unknown> {
  return { title: { text: plotlyText(axisText(of)), standoff: 10, font: { size: 13 } }, automargin: true };
}

function categoryAxis(of: Axis, categories: readonly string[]): Record<string, unknown> {
  return {
    ...axisTitle(of),
    type: "category",
    showgrid: false,
    categoryorder: "array",
    categoryarray: categories.map(plotlyText),
  };
}

function traces(chart: Chart): Record<string, unknown>[] {
  switch (chart.kind) {
    case "bar":
      return chart.series.map((one, index) => {
        const names = chart.categories.map(plotlyText);
        const errors = one.low && one.high
          ? {
            [chart.horizontal ? "error_x" : "error_y"]: {
              type: "data",
              symmetric: false,
              array: one.high.map((high, i) => high - one.values[i]!),
              arrayminus: one.low.map((low, i) => one.values[i]! - low),
              thickness: 1.2,
            },
          }
          : {};
        return {
          type: "bar",
          name: plotlyText(one.name),
          orientation: chart.horizontal ? "h" : "v",
          x: chart.horizontal ? one.values : names,
          y: chart.horizontal ? names : one.values,
          marker: { color: seriesColor(index) },
          ...errors,
        };
      });
    case "line":
      return chart.series.flatMap((one, index) => {
        const color = seriesColor(index);
        const line = {
          type: "scatter",
          mode: one.x.length > 40 ? "lines" : "lines+markers",
          name: plotlyText(one.name),
          legendgroup: String(index),
          x: one.x,
          y: one.y,
          line: { color, width: 2 },
        };
        if (!one.low || !one.high) return [line];
        const band = {
          type: "scatter",
          mode: "lines",
          legendgroup: String(index),
          showlegend: false,
          hoverinfo: "skip",
          x: [...one.x, ...[...one.x].reverse()],
          y: [...one.high, ...[...one.low].reverse()],
          fill: "toself",
          fillcolor: color + "33",
          line: { width: 0 },
        };
        return [band, line];
      });
    case "scatter":
      return chart.series.map((one, index) => ({
        type: "scatter",
        mode: "markers",
        name: plotlyText(one.name),
        x: one.x,
        y: one.y,
        marker: { color: seriesColor(index), size: one.x.length > 500 ? 4 : 7, opacity: 0.75 },
        ...(one.labels
          ? { text: one.labels.map(plotlyText), hovertemplate: "%{text}<br>%{x}, %{y}<extra></extra>" }
          : {}),
        ...(one.pictures ? { customdata: one.pictures } : {}),
      }));
    case "histogram":
      return histogramTraces(chart);
    case "box":
      return boxTraces(chart);
    case "heatmap":
      return [{
        type: "heatmap",
        x: chart.columns.map(plotlyText),
        y: chart.rows.map(plotlyText),
        z: chart.values.map((row) => row.map((value) => Number.isFinite(value) ? value : null)),
        colorscale: "Viridis",
        colorbar: { title: { text: plotlyText(axisText(chart.color)), side: "right" }, thickness: 12 },
        ...(chart.color.range ? { zmin: chart.color.range[0], zmax: chart.color.range[1] } : {}),
      }];
    case "parallel":
      return parallelTraces(chart);
  }
}

/** The lines, the marks of the axes, and a point that is nowhere and brings the colour bar. */
function parallelTraces(chart: ParallelChart): Record<string, unknown>[] {
  const { axes, lines, color } = parallelDrawing(chart);
  const [low, high] = color.range;
  const drawn = lines.map(({ at, color: value, texts }) => ({
    type: "scatter",
    mode: "lines+markers",
    x: at.map((_, i) => i),
    y: at,
    text: texts.map((text) => plotlyText(text).replaceAll("\n", "<br>")),
    hovertemplate: "%{text}<extra></extra>",
    line: { color: parallelColor(high === low ? 1 : (value - low) / (high - low)), width: 2 },
    marker: { size: 6 },
    opacity: 0.85,
  }));
  const marks = axes.flatMap(({ ticks }, x) => ticks.map((tick) => ({ x, ...tick })));
  return [
    ...drawn,
    {
      type: "scatter",
      mode: "text",
      x: marks.map(({ x }) => x),
      y: marks.map(({ at }) => at),
      text: marks.map(({ text }) => ` ${plotlyText(text)} `),
      textposition: marks.map(({ x }) => x === axes.length - 1 ? "middle right" : "middle left"),
      textfont: { size: 12, shadow: "auto" }, // lines run below them
      cliponaxis: false,
      hoverinfo: "skip",
      showlegend: false,
    },
    {
      type: "scatter",
      mode: "markers",
      x: [null],
      y: [null],
      hoverinfo: "skip",
      marker: {
        color: [low],
        ...{ cmin: low, cmax: high === low ? low + 1 : high, showscale: true },
        colorscale: parallelColors.map((each, i) => [i / (parallelColors.length - 1), each]),
        colorbar: { title: { text: plotlyText(axisText(color)), side: "right" }, thickness: 12, x: 1.08 },
      },
    },
  ];
}

function parallelAxes(chart: ParallelChart): Record<string, unknown> {
  const { axes } = parallelDrawing(chart);
  return {
    hovermode: "closest",
    showlegend: false,
    xaxis: {
      range: [-0.35, axes.length - 0.75],
      tickvals: axes.map((_, i) => i),
      ticktext: axes.map(({ name }) => plotlyText(name)),
      ...{ zeroline: false, automargin: true, fixedrange: true, gridwidth: 2 },
    },
    yaxis: { range: [-0.06, 1.06], showticklabels: false, showgrid: false, zeroline: false, fixedrange: true },
  };
}

/** The colour at a share of the scale, as Plotly mixes it. */
function parallelColor(share: number): string {
  const at = Math.min(1, Math.max(0, share)) * (parallelColors.length - 1), from = Math.min(Math.floor(at), 1);
  const [a, b] = [parallelColors[from]!, parallelColors[from + 1]!];
  const mixed = [1, 3, 5].map((digit) => {
    const [x, y] = [a, b].map((color) => parseInt(color.slice(digit, digit + 2), 16)) as [number, number];
    return Math.round(x + (y - x) * (at - from)).toString(16).padStart(2, "0");
  });
  return `#${mixed.join("")}`;
}

function histogramTraces(chart: HistogramChart): Record<string, unknown>[] {
  const { edges, counts } = histogramBins(chart);
  const width = edges[1]! - edges[0]!;
  const middles = edges.slice(0, -1).map((edge) => edge + width / 2);
  return chart.series.map((one, index) => ({
    type: "bar",
    name: plotlyText(one.name),
    x: middles,
    y: counts[index],
    width,
    opacity: chart.series.length > 1 ? 0.6 : 1,
    marker: { color: seriesColor(index) },
  }));
}

function boxTraces(chart: BoxChart): Record<string, unknown>[] {
  return chart.groups.map((group, index) => ({
    type: "box",
    name: plotlyText(group.name),
    x: [plotlyText(group.name)],
    lowerfence: [quantile(group.values, 0.05)],
    q1: [quantile(group.values, 0.25)],
    median: [quantile(group.values, 0.5)],
    q3: [quantile(group.values, 0.75)],
    upperfence: [quantile(group.values, 0.95)],
    marker: { color: seriesColor(index) },
  }));
}
