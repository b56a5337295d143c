// The picture of the point that is pointed at, beside the pointer: a point carries it as its customdata.
// deno-lint-ignore no-unused-vars
function pictureOnHover(plot) {
  let shown;
  const hide = () => shown?.remove();
  plot.on("plotly_hover", ({ points: [point], event }) => {
    hide();
    const source = point?.customdata;
    if (typeof source !== "string" || !source.startsWith("data:image/")) return;
    shown = document.createElement("img");
    shown.src = source;
    shown.alt = point.text ?? "";
    const side = 96, gap = 16;
    const left = event.clientX + gap + side > innerWidth ? event.clientX - gap - side : event.clientX + gap;
    const top = event.clientY + gap + side > innerHeight ? event.clientY - gap - side : event.clientY + gap;
    shown.style.cssText = `position:fixed;left:${left}px;top:${top}px;width:${side}px;height:${side}px;z-index:9;` +
      "object-fit:contain;background:#fff;border:1px solid #8886;border-radius:6px;pointer-events:none";
    document.body.append(shown);
  });
  plot.on("plotly_unhover", hide);
}
