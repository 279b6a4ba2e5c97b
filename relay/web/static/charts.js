// Bars of what left and what failed, drawn by uPlot; the same numbers stand in a table below.

import uPlot from "./vendor/uplot/uPlot.esm.js";
import { h } from "./dom.js";
import { number, t } from "./i18n.js";
import { table } from "./parts.js";

const HEIGHT = 180;

/**
 * One chart. `points`: [{label, delivered, failed}], evenly spaced. Returns {element, close};
 * the drawing follows the width of its place and the reader's light or dark.
 */
export function chart(title, points) {
  const place = h("div.plot", { role: "img", "aria-label": `${title}. ${summary(points)}` });
  const element = h("figure.chart", null,
    h("figcaption", null, h("span.strong", null, title), legend()),
    place,
    h("details", { "data-key": `chart ${title}` },
      h("summary", null, t("chart.table")),
      table(title, [
        [t("chart.when"), (point) => point.label],
        [t("state.delivered"), (point) => number(point.delivered), "number"],
        [t("state.failed"), (point) => number(point.failed), "number"],
      ], points)));
  let plot = null;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const draw = () => {
    plot?.destroy();
    plot = place.clientWidth ? new uPlot(options(points, place.clientWidth), series(points), place) : null;
  };
  const watch = new ResizeObserver(() => {
    if (plot && place.clientWidth) plot.setSize({ width: place.clientWidth, height: HEIGHT });
    else draw();
  });
  watch.observe(place);
  dark.addEventListener("change", draw);
  return {
    element,
    close() {
      watch.disconnect();
      dark.removeEventListener("change", draw);
      plot?.destroy();
    },
  };
}

function summary(points) {
  const sum = (name) => points.reduce((total, point) => total + point[name], 0);
  return t("chart.summary", { delivered: sum("delivered"), failed: sum("failed") });
}

const legend = () => h("span.legend", null,
  h("span", null, h("span.swatch.delivered"), t("state.delivered")),
  h("span", null, h("span.swatch.failed"), t("state.failed")));

// The failed stand on top of the delivered: their bar is drawn first, as high as both.
const series = (points) => [
  points.map((_, index) => index),
  points.map((point) => point.delivered + point.failed),
  points.map((point) => point.delivered),
];

function options(points, width) {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const bars = uPlot.paths.bars({ size: [0.7, 28], radius: 0.15 });
  const axis = { stroke: colour("--quiet"), font: "12px system-ui", ticks: { show: false } };
  const most = Math.max(4, ...points.map((point) => point.delivered + point.failed));
  return {
    width,
    height: HEIGHT,
    padding: [10, 6, 0, 0],
    legend: { show: false },
    cursor: { show: false },
    scales: { x: { time: false, range: [-0.6, points.length - 0.4] }, y: { range: [0, most * 1.08] } },
    axes: [
      { ...axis, size: 28, grid: { show: false }, space: 56, incrs: [1, 2, 3, 4, 6, 7, 12], values: (_, marks) => marks.map((mark) => points[mark]?.label ?? "") },
      { ...axis, size: 44, grid: { stroke: colour("--line"), width: 1 }, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000], values: (_, marks) => marks.map(number) },
    ],
    series: [
      {},
      { fill: colour("--bad-fill"), width: 0, points: { show: false }, paths: bars },
      { fill: colour("--accent-fill"), width: 0, points: { show: false }, paths: bars },
    ],
  };
}
