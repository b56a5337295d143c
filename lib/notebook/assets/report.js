// The report's behaviour: theme, folded code, plots drawn when they come near the window. Without it everything can be read.
(() => {
  const root = document.documentElement;
  root.classList.add("scripted");

  const themeButton = document.getElementById("toggle-theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => root.dataset.theme ? root.dataset.theme === "dark" : system.matches;
  const showTheme = () => {
    themeButton.textContent = isDark() ? "Light" : "Dark";
    themeButton.setAttribute("aria-label", isDark() ? "Use the light theme" : "Use the dark theme");
    restyle();
  };
  themeButton.hidden = false;
  themeButton.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try {
      localStorage.setItem("pokedex-theme", root.dataset.theme);
    } catch {
      // the choice then lasts as long as the page
    }
    showTheme();
  });
  system.addEventListener("change", showTheme);

  const codeButton = document.getElementById("toggle-code");
  const cells = [...document.querySelectorAll("details.code")];
  if (codeButton && cells.length) {
    codeButton.hidden = false;
    codeButton.addEventListener("click", () => {
      const open = cells.some((cell) => !cell.open);
      for (const cell of cells) cell.open = open;
      codeButton.textContent = open ? "Hide code" : "Show code";
    });
  }

  const contents = document.querySelector("details.contents");
  if (contents && matchMedia("(max-width: 1099px)").matches) contents.open = false;

  // plots
  const drawn = new Set();
  function colors() {
    return isDark() ? { text: "#c9cfdb", line: "#363c49" } : { text: "#2b303b", line: "#e3e6ec" };
  }
  function themed(layout, width) {
    const { text, line } = colors();
    const narrow = width < 520;
    const result = { ...layout, autosize: true, font: { ...layout.font, color: text, size: narrow ? 11 : 13 } };
    result.dragmode = narrow ? false : "zoom"; // on a phone a finger scrolls the page
    result.margin = { l: narrow ? 40 : 60, r: narrow ? 8 : 20, t: layout.showlegend ? 34 : 12, b: 48 };
    for (const key of Object.keys(layout)) {
      if (/^[xy]axis\d*$/.test(key)) {
        result[key] = { ...layout[key], gridcolor: line, zerolinecolor: line, linecolor: line };
      }
    }
    return result;
  }
  function start() {
    if (!globalThis.Plotly) {
      const script = document.createElement("script");
      script.textContent = document.getElementById("plotly").textContent;
      document.head.append(script);
    }
    return globalThis.Plotly;
  }
  function draw(plot) {
    const json = plot.querySelector("script[type='application/json']");
    if (!json || drawn.has(plot)) return;
    const Plotly = start();
    if (!Plotly) return; // the static picture stays
    drawn.add(plot);
    const figure = JSON.parse(json.textContent);
    plot.figure = figure;
    plot.replaceChildren();
    plot.classList.add("drawn");
    plot.closest("figure").classList.remove("titled");
    Plotly.newPlot(plot, figure.data, themed(figure.layout, plot.clientWidth), {
      responsive: true,
      displayModeBar: false, // dragging zooms, a double click shows all again
    }).then(() => pictureOnHover(plot));
  }
  function restyle() {
    for (const plot of drawn) {
      globalThis.Plotly.relayout(plot, themed(plot.figure.layout, plot.clientWidth));
    }
  }
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      watcher.unobserve(entry.target);
      draw(entry.target);
    }
  }, { rootMargin: "600px" });
  for (const plot of document.querySelectorAll(".plot.interactive")) watcher.observe(plot);

  showTheme();

  // the table of contents follows the reading
  const links = new Map([...document.querySelectorAll(".contents a")].map((link) => [link.hash.slice(1), link]));
  const headings = [...links.keys()].map((id) => document.getElementById(decodeURIComponent(id))).filter(Boolean);
  let marked;
  const mark = () => {
    const above = headings.filter((heading) => heading.getBoundingClientRect().top < 120);
    const current = above.at(-1);
    const link = current && links.get(encodeURIComponent(current.id)) || current && links.get(current.id);
    if (link === marked) return;
    marked?.removeAttribute("aria-current");
    link?.setAttribute("aria-current", "true");
    marked = link;
  };
  addEventListener("scroll", mark, { passive: true });
  mark();
})();
