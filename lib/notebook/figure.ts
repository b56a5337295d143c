/** A chart that a cell can end with: interactive Plotly, a static picture, HTML and text in one bundle. */

import { asset } from "./asset.ts";
import { type Chart, checkChart } from "./chart.ts";
import type {
  BarChart,
  BoxChart,
  HeatmapChart,
  HistogramChart,
  LineChart,
  ParallelChart,
  ScatterChart,
} from "./chart.ts";
import { type Displayable, escapeHtml, jupyterDisplay, mime, type MimeBundle } from "./display.ts";
import { captionName, type PlotlyFigure, toPlotly } from "./plotly.ts";
import { toPng, toSvg } from "./static_picture.ts";

/** A static SVG above this many characters (a scatter of many thousand points) is replaced by its PNG. */
const svgLimit = 400_000;

/** Where a hosted notebook finds Plotly; a report carries its own copy. */
const plotlyScript = "https://cdn.plot.ly/plotly-cartesian-4.1.1.min.js";

/**
 * A chart with its caption. As a cell's last expression it shows itself; `show(figure)` shows it anywhere in a cell.
 * The makers throw InputError where the lengths of what is given disagree.
 *
 * ```ts ignore
 * Figure.bar({
 *   title: "Images of a type", caption: "Water is the commonest type.",
 *   x: { title: "type" }, y: { title: "images" },
 *   categories: ["Water", "Fire"], series: [{ name: "images", values: [120, 64] }],
 * })
 * ```
 */
export class Figure implements Displayable {
  readonly chart: Chart;

  constructor(chart: Chart) {
    checkChart(chart);
    this.chart = chart;
  }

  static bar(chart: Omit<BarChart, "kind">): Figure {
    return new Figure({ kind: "bar", ...chart });
  }

  static line(chart: Omit<LineChart, "kind">): Figure {
    return new Figure({ kind: "line", ...chart });
  }

  static scatter(chart: Omit<ScatterChart, "kind">): Figure {
    return new Figure({ kind: "scatter", ...chart });
  }

  static histogram(chart: Omit<HistogramChart, "kind">): Figure {
    return new Figure({ kind: "histogram", ...chart });
  }

  static box(chart: Omit<BoxChart, "kind">): Figure {
    return new Figure({ kind: "box", ...chart });
  }

  static heatmap(chart: Omit<HeatmapChart, "kind">): Figure {
    return new Figure({ kind: "heatmap", ...chart });
  }

  static parallel(chart: Omit<ParallelChart, "kind">): Figure {
    return new Figure({ kind: "parallel", ...chart });
  }

  /** The interactive form. */
  plotly(): PlotlyFigure {
    return toPlotly(this.chart);
  }

  /** The static form; without its title where the page around shows it. */
  svg(options: { readonly title?: boolean } = {}): Promise<string> {
    return toSvg(this.chart, options);
  }

  /** The static form as encoded PNG on white, two pixels a CSS pixel. */
  png(): Promise<Uint8Array> {
    return toPng(this.chart);
  }

  async [jupyterDisplay](): Promise<MimeBundle> {
    const { title, caption } = this.chart;
    const [svg, png] = [await this.svg({ title: false }), (await this.png()).toBase64()];
    const vector = svg.length <= svgLimit;
    const plotly = this.plotly();
    const shown = vector
      ? `<img alt="${escapeHtml(title)}" src="data:image/svg+xml;base64,${new TextEncoder().encode(svg).toBase64()}">`
      : `<img alt="${escapeHtml(title)}" src="data:image/png;base64,${png}">`;
    return {
      [mime.plotly]: { ...captioned(plotly, caption), config: { responsive: true, displaylogo: false } },
      [mime.chart]: { title, caption, kind: this.chart.kind },
      ...(vector ? { "image/svg+xml": svg } : {}),
      "image/png": png,
      "text/html": figureHtml(title, caption, shown, plotly, hasPictures(this.chart) ? await asset("hover.js") : ""),
      "text/plain": `${title}\n${caption}`,
    };
  }
}

/** Whether points carry pictures. */
function hasPictures(chart: Chart): boolean {
  return chart.kind === "scatter" && chart.series.some(({ pictures }) => pictures);
}

/** With the caption below the plot, for editors that show nothing but the plot; a report has it as text. */
function captioned(plotly: PlotlyFigure, caption: string): PlotlyFigure {
  const lines = (caption.match(/.{1,95}(?:\s|$)/g) ?? [caption]).map((line) => escapeHtml(line.trim()));
  const { height, margin } = plotly.layout as { height: number; margin: { b: number } };
  const more = 16 * lines.length + 12;
  const annotation = {
    name: captionName,
    text: lines.join("<br>"),
    showarrow: false,
    align: "left",
    ...{ xref: "paper", x: 0, xanchor: "left", yref: "paper", y: 0, yanchor: "top", yshift: -margin.b },
  };
  const layout = {
    ...plotly.layout,
    height: height + more,
    margin: { ...margin, b: margin.b + more },
    annotations: [annotation],
  };
  return { data: plotly.data, layout };
}

/** For notebooks that show HTML: the static picture at once, the interactive one in its place when Plotly can be loaded. */
function figureHtml(title: string, caption: string, picture: string, plotly: PlotlyFigure, hover: string): string {
  const id = `figure-${crypto.randomUUID()}`;
  const json = JSON.stringify(plotly).replaceAll("<", "\\u003c");
  return `<figure style="margin:0 0 1em;max-width:900px"><strong>${
    escapeHtml(title)
  }</strong><div id="${id}">${picture}</div>
<figcaption style="opacity:.8">${escapeHtml(caption)}</figcaption></figure>
<script>(() => {
  ${hover}
  const figure = ${json};
  const draw = (Plotly) => {
    const at = document.getElementById("${id}");
    if (!at) return;
    at.replaceChildren();
    delete figure.layout.title;
    const color = getComputedStyle(at).color;
    figure.layout.font.color = color;
    const plotted = Plotly.newPlot(at, figure.data, figure.layout, { responsive: true, displaylogo: false });
    ${hover === "" ? "" : "plotted.then(() => pictureOnHover(at));"}
  };
  if (window.Plotly) return draw(window.Plotly);
  const script = document.createElement("script");
  script.src = "${plotlyScript}";
  script.onload = () => draw(window.Plotly);
  document.head.append(script);
})();</script>`;
}
