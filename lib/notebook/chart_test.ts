/** Tests of charts: checked lengths, bins, quantiles, and what Plotly and the static picture make of them. */

import assert from "node:assert/strict";
import sharp from "sharp";
import { type Chart, histogramBins, quantile } from "./chart.ts";
import { jupyterDisplay } from "./display.ts";
import { Figure } from "./figure.ts";
import { toPlotly } from "./plotly.ts";

const axes = { x: { title: "epoch" }, y: { title: "loss", unit: "nat" } };
const common = { title: "A title", caption: "One sentence.", ...axes };

/** One chart of each kind. */
const charts: readonly Chart[] = [
  {
    kind: "bar",
    ...common,
    categories: ["a", "b"],
    series: [{ name: "s", values: [1, 2], low: [0, 1], high: [2, 3] }],
  },
  { kind: "bar", ...common, horizontal: true, stacked: true, categories: ["a"], series: [{ name: "s", values: [1] }] },
  { kind: "line", ...common, series: [{ name: "s", x: [1, 2], y: [3, 4], low: [2, 3], high: [4, 5] }] },
  { kind: "scatter", ...common, series: [{ name: "s", x: [1, 2], y: [3, 4], labels: ["p", "q"] }] },
  { kind: "histogram", ...common, series: [{ name: "s", values: [1, 2, 2, 3] }] },
  { kind: "box", ...common, groups: [{ name: "g", values: [1, 2, 3] }] },
  { kind: "heatmap", ...common, columns: ["a", "b"], rows: ["r"], values: [[0.5, NaN]], color: { title: "share" } },
  {
    kind: "parallel",
    title: "A title",
    caption: "One sentence.",
    dimensions: [{ title: "epoch", values: [1, 2] }, { title: "loss", unit: "nat", values: [3, 4] }],
  },
];

Deno.test("quantile() gives what NumPy's percentile gives", () => {
  // numpy.percentile([15, 20, 35, 40, 50], [5, 40, 50, 95]) → 16, 29, 35, 48
  const values = [50, 15, 40, 20, 35];
  assert.deepEqual([0.05, 0.4, 0.5, 0.95].map((p) => Math.round(quantile(values, p) * 1e9) / 1e9), [16, 29, 35, 48]);
});

Deno.test("histogramBins() counts every finite value once, the largest in the last bin", () => {
  const values = [0, 0.1, 0.5, 0.99, 1, NaN, Infinity];
  const { edges, counts } = histogramBins({ kind: "histogram", ...common, bins: 4, series: [{ name: "s", values }] });
  assert.deepEqual(edges, [0, 0.25, 0.5, 0.75, 1]);
  assert.deepEqual(counts, [[2, 0, 1, 2]]);
});

Deno.test("histogramBins() gives few whole numbers a bin each, centred on them", () => {
  const { edges, counts } = histogramBins({ kind: "histogram", ...common, series: [{ name: "s", values: [3, 5, 5] }] });
  assert.deepEqual(edges, [2.5, 3.5, 4.5, 5.5]);
  assert.deepEqual(counts, [[1, 0, 2]]);
});

Deno.test("a chart whose lengths disagree, or without a caption, is refused by its title", () => {
  assert.throws(
    () => Figure.bar({ ...common, categories: ["a", "b"], series: [{ name: "s", values: [1] }] }),
    /InputError: chart "A title": expected 2 values in series "s", found 1/,
  );
  assert.throws(() => Figure.box({ ...common, groups: [{ name: "g", values: [] }] }), /values in group "g"/);
  assert.throws(() => Figure.line({ ...common, caption: " ", series: [{ name: "s", x: [], y: [] }] }), /a caption/);
});

Deno.test("every kind of chart becomes Plotly JSON without a value that JSON cannot hold", () => {
  for (const chart of charts) {
    const figure = toPlotly(chart);
    assert.ok(figure.data.length > 0, chart.kind);
    assert.deepEqual(figure, JSON.parse(JSON.stringify(figure)), chart.kind);
    if (chart.kind === "parallel") continue;
    const { xaxis, yaxis } = figure.layout as Record<string, { title: { text: string } }>;
    assert.equal(xaxis!.title.text, "epoch");
    assert.equal(yaxis!.title.text, "loss (nat)");
  }
});

Deno.test("every kind of chart becomes an SVG with its titles, drawn without a browser", async () => {
  for (const chart of charts) {
    const svg = await new Figure(chart).svg();
    for (const text of ["A title", "loss (nat)", "epoch"]) {
      assert.ok(svg.includes(`>${text}<`), `${chart.kind}: ${text}`);
    }
    assert.ok(!/NaN|undefined/.test(svg), chart.kind);
    assert.ok(!(await new Figure(chart).svg({ title: false })).includes("A title"), chart.kind);
  }
});

Deno.test("the PNG has two pixels a CSS pixel, dark text on white", async () => {
  const png = await new Figure(charts[2]!).png();
  const { data, info } = await sharp(png).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  assert.ok(info.width > 1280 && info.width < 1600, `${info.width} px`);
  assert.deepEqual([...data.subarray(0, 3)], [255, 255, 255]);
  let dark = 0;
  for (let i = 0; i < data.length; i += info.channels) {
    if (data[i]! < 80 && data[i + 1]! < 80 && data[i + 2]! < 90) dark++;
  }
  assert.ok(dark > 500, `${dark} dark pixels: are the letters drawn?`);
});

Deno.test("a figure's bundle holds Plotly, SVG, PNG, HTML and text, and no title breaks out of the HTML", async () => {
  const title = `</script><img src=x onerror=alert(1)> & "more"`;
  const bundle = await new Figure({ ...charts[0]!, title } as Chart)[jupyterDisplay]();
  const types = ["application/vnd.plotly.v1+json", "image/svg+xml", "image/png", "text/html", "text/plain"];
  for (const type of types) assert.ok(type in bundle, type);
  const html = String(bundle["text/html"]);
  assert.equal(html.split("</script>").length, 2, "only the figure's own script ends");
  assert.ok(!html.includes("<img src=x"));
  assert.equal(bundle["text/plain"], `${title}\nOne sentence.`);
});

Deno.test("a scatter's pictures are its points' data, and its page has the script that shows them", async () => {
  const pictures = ["data:image/png;base64,AA==", "data:image/png;base64,AB=="];
  const figure = Figure.scatter({ ...common, series: [{ name: "s", x: [1, 2], y: [3, 4], pictures }] });
  assert.deepEqual(figure.plotly().data[0]!.customdata, pictures);
  assert.match(String((await figure[jupyterDisplay]())["text/html"]), /plotly_hover[^]*pictureOnHover\(at\)/);
  const plain = await Figure.scatter({ ...common, series: [{ name: "s", x: [1], y: [3] }] })[jupyterDisplay]();
  assert.ok(!String(plain["text/html"]).includes("plotly_hover"));
  assert.throws(
    () => Figure.scatter({ ...common, series: [{ name: "s", x: [1, 2], y: [3, 4], pictures: pictures.slice(1) }] }),
    /pictures/,
  );
});

Deno.test("a scatter of very many points carries no SVG but its PNG", async () => {
  const x = Array.from({ length: 6000 }, (_, i) => i);
  const bundle = await Figure.scatter({ ...common, series: [{ name: "s", x, y: x }] })[jupyterDisplay]();
  assert.ok(!("image/svg+xml" in bundle));
  assert.ok("image/png" in bundle);
});
