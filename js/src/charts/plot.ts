/** Everything that knows Plotly: our charts in, a drawing out. */

import { SourceError } from "../data/source";
import { type Style, styleOf, type Theme } from "./palette";

export interface LineSeries {
  name: string;
  steps: number[];
  /** null is a gap. */
  values: (number | null)[];
}

/** Points that are no history: a ROC curve, residuals. */
export interface PointSeries {
  name: string;
  x: (number | null)[];
  y: (number | null)[];
}

export interface Points {
  kind: "points";
  /** What the axes are. */
  x: string;
  y: string;
  series: PointSeries[];
  marks: "line" | "dots" | "both";
  /** What chance or perfection would give: a dashed line. */
  guide?: "diagonal" | "zero";
  /** Both axes go from 0 to 1. */
  unit?: boolean;
}

export interface Bar {
  name: string;
  value: number;
  label: string;
}

export type Chart =
  | { kind: "lines"; metric: string; series: LineSeries[] }
  | Points
  | { kind: "bars"; metric: string; bars: Bar[] };

interface Plotly {
  react(el: HTMLElement, data: object[], layout: object, config: object): Promise<unknown>;
  purge(el: HTMLElement): void;
  Plots: { resize(el: HTMLElement): unknown };
}

const CONFIG = {
  displaylogo: false,
  displayModeBar: "hover",
  // Plotly 4 offers to upload charts to a cloud unless both are said.
  showSendToCloud: false,
  plotlyServerURL: "",
  modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d", "zoomIn2d", "zoomOut2d"],
  toImageButtonOptions: { format: "svg", filename: "nbtrack" },
};

/** Above this many points, markers would be a smear. */
const MARKERS_UP_TO = 40;
const BAR_HEIGHT = 24;

export function chartHeight(chart: Chart): number {
  if (chart.kind === "lines") return 320;
  if (chart.kind === "points") return 260;
  return Math.max(96, chart.bars.length * BAR_HEIGHT + 56);
}

export async function drawChart(
  el: HTMLElement,
  plotly: unknown,
  chart: Chart,
  theme: Theme,
): Promise<void> {
  const { data, layout } = describe(chart, theme);
  await known(plotly).react(el, data, { ...layout, height: chartHeight(chart) }, CONFIG);
}

export function resizeChart(el: HTMLElement, plotly: unknown): void {
  known(plotly).Plots.resize(el);
}

export function eraseChart(el: HTMLElement, plotly: unknown): void {
  known(plotly).purge(el);
}

function known(plotly: unknown): Plotly {
  if (typeof (plotly as Partial<Plotly> | null)?.react !== "function") {
    throw new SourceError("The chart library did not load.", "Reload the page and try again.");
  }
  return plotly as Plotly;
}

/** Plotly reads pseudo-HTML, entities and TeX in every text; names must stay literal. */
export function literal(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll("$", "&#36;");
}

export function describe(chart: Chart, theme: Theme): { data: object[]; layout: object } {
  if (chart.kind === "lines") return describeLines(chart, theme);
  return chart.kind === "points" ? describePoints(chart, theme) : describeBars(chart, theme);
}

function describePoints(chart: Points, theme: Theme) {
  const data: object[] = chart.series.map((series, i) => {
    const style: Style = styleOf(i, theme.dark);
    return {
      type: "scatter",
      mode: { line: "lines", dots: "markers", both: "lines+markers" }[chart.marks],
      name: literal(series.name),
      x: series.x,
      y: series.y,
      line: { color: style.color, dash: style.dash, width: 1.8 },
      marker: { color: style.color, symbol: style.symbol, size: 5, opacity: 0.7 },
      hoverlabel: { namelength: 40 },
    };
  });
  const line = { color: theme.muted, dash: "dot", width: 1 };
  const shapes = {
    diagonal: [{ type: "line", x0: 0, y0: 0, x1: 1, y1: 1, line }],
    zero: [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: 0, y1: 0, line }],
    none: [],
  }[chart.guide ?? "none"];
  const unit = chart.unit ? { range: [-0.02, 1.02], fixedrange: false } : {};
  const layout = {
    ...base(theme, `${chart.x} ${chart.y}`),
    xaxis: { ...axis(theme), ...unit, title: title(chart.x, 8) },
    yaxis: { ...axis(theme), ...unit, title: title(chart.y, 12), automargin: true },
    shapes,
    margin: { l: 52, r: 12, t: 8, b: 42 },
    showlegend: false,
    hovermode: "closest",
  };
  return { data, layout };
}

function describeLines(chart: Chart & { kind: "lines" }, theme: Theme) {
  const data = chart.series.map((series, i) => {
    const style: Style = styleOf(i, theme.dark);
    const sparse = series.steps.length <= MARKERS_UP_TO;
    return {
      type: "scatter",
      mode: sparse ? "lines+markers" : "lines",
      name: literal(series.name),
      x: series.steps,
      y: series.values,
      line: { color: style.color, dash: style.dash, width: 1.8 },
      marker: { color: style.color, symbol: style.symbol, size: 6 },
      hoverlabel: { namelength: 40 },
    };
  });
  const layout = {
    ...base(theme, chart.metric),
    xaxis: { ...axis(theme), title: title("step", 8) },
    yaxis: {
      ...axis(theme),
      title: title(chart.metric, 12),
      automargin: true,
    },
    margin: { l: 56, r: 16, t: 12, b: 44 },
    showlegend: false,
    hovermode: "closest",
  };
  return { data, layout };
}

function describeBars(chart: Chart & { kind: "bars" }, theme: Theme) {
  // Names are tick labels over positions and not categories: two runs may have one name.
  const places = chart.bars.map((_, i) => i);
  const values = chart.bars.map((bar) => bar.value);
  const data = [
    {
      type: "bar",
      orientation: "h",
      x: values,
      y: places,
      width: 0.62,
      marker: { color: styleOf(0, theme.dark).color, opacity: 0.85 },
      text: chart.bars.map((bar) => literal(bar.label)),
      textposition: "outside",
      cliponaxis: false,
      textfont: { color: theme.text },
      hoverinfo: "text",
      hovertext: chart.bars.map((bar) => `${literal(bar.name)}: ${literal(bar.label)}`),
    },
  ];
  const low = Math.min(0, ...values);
  const high = Math.max(0, ...values);
  // Labels stand in the margins, whose width does not shrink with the page; on the left the names
  // are in the way.
  const room = (high - low || 1) * 0.02;
  const layout = {
    ...base(theme, chart.metric),
    xaxis: {
      ...axis(theme),
      title: title(chart.metric, 8),
      range: [low < 0 ? low - 16 * room : 0, high + room],
      fixedrange: true,
    },
    yaxis: {
      ...axis(theme),
      tickvals: places,
      ticktext: chart.bars.map((bar) => literal(bar.name)),
      range: [chart.bars.length - 0.5, -0.5],
      showgrid: false,
      zeroline: false,
      fixedrange: true,
      automargin: true,
      ticks: "",
      tickfont: { color: theme.text },
    },
    margin: { l: 8, r: 64, t: 8, b: 40 },
    bargap: 0.3,
    showlegend: false,
  };
  return { data, layout };
}

function base(theme: Theme, metric: string) {
  return {
    autosize: true,
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: theme.font, size: 12, color: theme.muted },
    hoverlabel: {
      bgcolor: theme.background,
      bordercolor: theme.grid,
      font: { family: theme.font, size: 12, color: theme.text },
    },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: theme.muted, activecolor: theme.accent },
    // A zoom survives new points of the same metric.
    uirevision: metric,
  };
}

function title(text: string, standoff: number) {
  return { text: literal(text), standoff, font: { size: 12 } };
}

function axis(theme: Theme) {
  return {
    color: theme.muted,
    ticklen: 4,
    tickcolor: "rgba(0,0,0,0)",
    gridcolor: theme.grid,
    linecolor: theme.grid,
    zerolinecolor: theme.grid,
    gridwidth: 1,
  };
}
