// Draws the charts from the numbers in the page, in the colours of the page.
(function () {
  "use strict";
  const root = document.documentElement;
  const drawings = JSON.parse(document.getElementById("drawings").textContent);
  const charts = new Map(drawings.charts.map((chart) => [chart.id, chart]));
  const narrow = window.matchMedia("(max-width: 40rem)");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const coarse = window.matchMedia("(pointer: coarse)");
  const PRINT_WIDTH = 680;
  let styles;

  // A string that starts with two dashes names a CSS variable.
  function resolved(value) {
    if (typeof value === "string" && value.startsWith("--")) return styles.getPropertyValue(value).trim();
    if (Array.isArray(value)) return value.map(resolved);
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, resolved(item)]));
  }

  // Many bars as one path: up from zero and a break, again and again.
  function stems(x, y) {
    const points = { x: [], y: [] };
    y.forEach((value, i) => {
      points.x.push(x[i], x[i], x[i]);
      points.y.push(value === null ? null : 0, value, null);
    });
    return points;
  }

  // What of a trace names a column: a candlestick has four prices, a mark has its words.
  const COLUMNS = ["x", "y", "open", "high", "low", "close", "text"];

  function trace(spec, columns) {
    const { stem, ...rest } = spec;
    const points = stem ? stems(columns[rest.x], columns[rest.y]) : {};
    for (const name of COLUMNS) {
      if (name in rest && !(name in points)) points[name] = columns[rest[name]];
      delete rest[name];
    }
    return { ...resolved(rest), ...points };
  }

  function milliseconds(date) {
    return Date.parse(date.replace(" ", "T") + (date.length > 10 ? "Z" : "T00:00Z"));
  }

  // Plotly labels a log axis with bare digits between the decades; these are whole numbers.
  function logTicks(low, high) {
    const ticks = [];
    if (high / low > 20) {
      const steps = high / low > 1e4 ? [1] : [1, 2, 5];
      for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += 1) {
        ticks.push(...steps.map((step) => Number(`${step}e${power}`)));
      }
    } else {
      const rough = (high - low || low) / 6;
      const power = 10 ** Math.floor(Math.log10(rough));
      const step = power * [1, 2, 5, 10].find((times) => times * power >= rough);
      for (let tick = Math.ceil(low / step); tick * step <= high * 1.05; tick += 1) ticks.push(tick * step);
    }
    return ticks;
  }

  function priceText(value) {
    if (value < 1e-4) return value.toExponential();
    const notation = value >= 1e5 ? "compact" : "standard";
    return new Intl.NumberFormat("en", { notation, maximumSignificantDigits: 4 }).format(value);
  }

  function layoutOf(chart) {
    const layout = resolved(chart.layout);
    layout.dragmode = coarse.matches ? false : "zoom"; // a finger scrolls the page, it does not zoom by accident
    if (narrow.matches) {
      layout.font.size = 10;
      layout.margin = { l: 42, r: layout.yaxis2 ? 38 : 8, t: 6, b: 26 };
      for (const axis of [layout.yaxis, layout.yaxis2]) if (axis) axis.title.text = ""; // the key says it
      if (layout.xaxis.type !== "category") layout.xaxis.nticks = 4;
      layout.xaxis.title.text = ""; // the reading says it
    }
    return layout;
  }

  // Plotly fits the height to all there is; this fits it to what is in view.
  function heights(chart, range) {
    const columns = drawings.columns[chart.columns];
    const [from, to] = range.map((end) => (typeof end === "number" ? end : milliseconds(String(end))));
    const inView = columns.t.map(milliseconds).map((t) => t >= from && t <= to);
    const update = {};
    for (const [axis, rule] of Object.entries(chart.fit)) {
      let low = Infinity, high = -Infinity;
      for (const name of rule.columns) {
        columns[name].forEach((value, i) => {
          if (inView[i] && value !== null) { low = Math.min(low, value); high = Math.max(high, value); }
        });
      }
      if (low > high) continue;
      for (const value of rule.include || []) { low = Math.min(low, value); high = Math.max(high, value); }
      if (rule.zero) low = 0;
      if (rule.log) {
        const ticks = logTicks(low, high);
        Object.assign(update, { [`${axis}.tickvals`]: ticks, [`${axis}.ticktext`]: ticks.map(priceText) });
        low = Math.log10(low); high = Math.log10(high);
      }
      const room = (high - low || Math.abs(high) || 1) * 0.06;
      update[`${axis}.range`] = [rule.zero ? 0 : low - room, high + room];
    }
    return update;
  }

  // The range that shows the last so many bars (0: all), with a little room at the right.
  function lastBars(chart, bars) {
    const t = drawings.columns[chart.columns].t;
    const from = milliseconds(t[bars ? Math.max(0, t.length - bars) : 0]);
    const to = milliseconds(t[t.length - 1]);
    const room = (to - from || 86400000) * 0.01;
    const iso = (time) => new Date(time).toISOString().slice(0, 19).replace("T", " ");
    return [iso(from - room), iso(to + room)];
  }

  function draw(chart) {
    const element = document.getElementById(chart.id);
    const layout = layoutOf(chart);
    if (!chart.still) frame(chart, element, layout);
    const traces = chart.traces.map((spec) => trace(spec, drawings.columns[chart.columns]));
    const config = {
      responsive: true, displaylogo: false, showTips: false, doubleClick: false, plotlyServerURL: "",
      displayModeBar: narrow.matches ? false : "hover", modeBarButtons: [["toImage"]], toImageButtonOptions: { filename: chart.id },
    };
    const first = !element.layout;
    Plotly.react(element, traces, layout, config);
    if (first && !chart.still) listen(chart, element);
  }

  // What part of time is in view: the last bars at first, later what somebody chose.
  function frame(chart, element, layout) {
    const range = element.layout ? element.layout.xaxis.range : lastBars(chart, chart.window);
    layout.xaxis.range = range.slice();
    for (const [path, value] of Object.entries(heights(chart, range))) {
      const [axis, key] = path.split(".");
      layout[axis][key] = value;
    }
  }

  function listen(chart, element) {
    element.on("plotly_relayout", (event) => {
      if (!("xaxis.range[0]" in event)) return; // only where somebody has dragged
      Plotly.relayout(element, heights(chart, element.layout.xaxis.range));
      press(chart, null);
    });
    element.on("plotly_doubleclick", () => show(chart, 0));
  }

  function show(chart, bars) {
    const range = lastBars(chart, bars);
    Plotly.relayout(chart.id, { "xaxis.range": range, ...heights(chart, range) });
    press(chart, bars);
  }

  function press(chart, bars) {
    for (const button of document.querySelectorAll(`button[data-chart="${chart.id}"]`)) {
      button.setAttribute("aria-pressed", String(Number(button.dataset.bars) === bars));
    }
  }

  function drawAll() {
    styles = getComputedStyle(root);
    for (const chart of charts.values()) draw(chart);
  }

  // One chart at a time, so that the page can be read and scrolled meanwhile.
  function drawOneByOne(waiting) {
    styles = getComputedStyle(root);
    if (!waiting.length) { root.dataset.charts = "drawn"; return; }
    draw(waiting[0]);
    setTimeout(() => drawOneByOne(waiting.slice(1)), 0);
  }

  function isDark() {
    return root.dataset.scheme ? root.dataset.scheme === "dark" : dark.matches;
  }

  const button = document.getElementById("scheme");
  function schemeChanged() {
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-label", isDark() ? "Use the light scheme" : "Use the dark scheme");
    if (root.dataset.charts) drawAll();
  }
  button.hidden = false;
  button.addEventListener("click", () => { root.dataset.scheme = isDark() ? "light" : "dark"; schemeChanged(); });
  dark.addEventListener("change", schemeChanged);
  narrow.addEventListener("change", () => root.dataset.charts && drawAll());
  for (const choice of document.querySelectorAll("button[data-chart]")) {
    choice.addEventListener("click", () => show(charts.get(choice.dataset.chart), Number(choice.dataset.bars)));
  }

  // On paper: light, everything open, as wide as a sheet.
  let before;
  window.addEventListener("beforeprint", () => {
    const closed = [...document.querySelectorAll("details.fit:not([open]), details.more:not([open])")];
    before = { scheme: root.dataset.scheme, closed };
    root.dataset.scheme = "light";
    closed.forEach((element) => { element.open = true; });
    drawAll();
    for (const id of charts.keys()) Plotly.relayout(id, { width: PRINT_WIDTH });
  });
  window.addEventListener("afterprint", () => {
    if (before.scheme) root.dataset.scheme = before.scheme; else delete root.dataset.scheme;
    before.closed.forEach((element) => { element.open = false; });
    for (const id of charts.keys()) Plotly.relayout(id, { width: null, autosize: true });
    drawAll();
  });

  schemeChanged();
  drawOneByOne([...charts.values()]);
})();
