// Draws every figure of the page from its own table, with uPlot. Without this the tables remain.
"use strict";

(() => {
  const UNITS = {
    bytes: (v) => {
      const units = ["B", "kB", "MB", "GB"];
      let n = 0;
      while (v >= 999.5 && n < 3) { v /= 1000; n += 1; }
      return `${v >= 99.95 || n === 0 ? v.toFixed(0) : v.toFixed(1)} ${units[n]}`;
    },
    seconds: (v) => `${+v.toPrecision(3)} s`,
    epsilon: (v) => `${+v.toPrecision(3)}`,
    count: (v) => `${+v.toFixed(1)}`,
  };

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function read(figure) {
    const table = figure.querySelector("details table"); // the picture has one of its own: its legend
    const heads = [...table.querySelectorAll("thead th")];
    const rows = [...table.querySelectorAll("tbody tr")];
    const value = (cell) => (cell.dataset.value === "" ? null : Number(cell.dataset.value));
    return {
      axis: heads[0].textContent,
      names: rows.map((row) => row.querySelector("th").textContent),
      series: heads.slice(1).map((head, k) => ({
        name: head.textContent,
        unit: head.dataset.unit,
        shape: head.dataset.shape,
        values: rows.map((row) => value(row.querySelectorAll("td")[k])),
      })),
    };
  }

  function options(data, width) {
    const colours = [colour("--line"), colour("--second"), colour("--good")];
    const ink = colour("--faint");
    const rule = colour("--rule");
    const text = UNITS[data.series[0].unit];
    const grid = { stroke: rule, width: 1 };
    const font = "12px system-ui, sans-serif";
    const axis = { stroke: ink, grid, ticks: grid, font };
    const named = (at) => (Number.isInteger(at) && data.names[at] !== undefined ? data.names[at] : "");
    const widest = Math.max(...data.names.map((name) => name.length));
    return {
      width,
      height: width < 420 ? 200 : 240,
      legend: { live: true },
      cursor: { drag: { x: false, y: false } },
      scales: {
        x: { time: false, range: [-0.5, data.names.length - 0.5] },
        y: { range: (_plot, _low, high) => [0, high > 0 ? high * 1.1 : 1] },
      },
      axes: [
        { ...axis, label: data.axis, labelFont: font, labelSize: 20, space: 10 + 7 * widest, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000], values: (_plot, at) => at.map(named) },
        { ...axis, size: 62, values: (_plot, at) => at.map(text) },
      ],
      series: [
        { label: data.axis, value: (_plot, at) => (at === null ? "–" : named(at)) },
        ...data.series.map((line, k) => {
          const level = line.shape === "level";
          const stroke = level ? ink : colours[k % colours.length];
          const shaped = line.shape === "bars"
            ? { paths: uPlot.paths.bars({ size: [0.6, 40] }), fill: stroke, points: { show: false } }
            : { points: { show: !level && data.names.length < 60, size: 6, fill: stroke } };
          return {
            label: line.name, stroke, width: 2, dash: level ? [6, 5] : [], spanGaps: true,
            value: (_plot, at) => (at === null || at === undefined ? "–" : text(at)), ...shaped,
          };
        }),
      ],
    };
  }

  function draw(figure) {
    const place = figure.querySelector(".plot");
    const data = read(figure);
    place.replaceChildren();
    if (!data.names.length || place.clientWidth === 0) return;
    const columns = [data.names.map((_name, k) => k), ...data.series.map((line) => line.values)];
    new uPlot(options(data, place.clientWidth), columns, place);
    figure.dataset.drawn = data.series.length;
  }

  const drawAll = (within = document) => within.querySelectorAll("figure.chart").forEach(draw);
  window.recommonsCharts = { drawAll };
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawAll());
  let resized;
  window.addEventListener("resize", () => { clearTimeout(resized); resized = setTimeout(drawAll, 150); });
  drawAll();
})();
