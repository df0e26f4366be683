/** Colours, dashes and markers that stay apart for colour-blind readers, on white and on black. */

/** Okabe and Ito's colours, darkened for white and lightened for black until each has 3:1 contrast. */
const LIGHT = [
  "#0072b2",
  "#c4500a",
  "#00805f",
  "#a8528a",
  "#8a6d00",
  "#2b8cbe",
  "#b2182b",
  "#4d4d4d",
];
const DARK = [
  "#56b4e9",
  "#f28e2b",
  "#2fc49a",
  "#e39bc8",
  "#e6c84a",
  "#8fb8ff",
  "#ff7b72",
  "#c0c0c0",
];
const DASHES = ["solid", "dash", "dot", "dashdot"] as const;
const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "cross", "x"] as const;

export type Dash = (typeof DASHES)[number];

export interface Style {
  color: string;
  dash: Dash;
  symbol: (typeof SYMBOLS)[number];
}

/** The look of the n-th line: colours repeat after eight, and then with another dash. */
export function styleOf(index: number, dark: boolean): Style {
  const colors = dark ? DARK : LIGHT;
  return {
    color: pick(colors, index),
    // Dashes change with every line too, so that neighbours differ without any colour.
    dash: pick(DASHES, index + Math.floor(index / colors.length)),
    symbol: pick(SYMBOLS, index),
  };
}

function pick<T>(values: readonly T[], index: number): T {
  return values[index % values.length] as T;
}

export interface Theme {
  dark: boolean;
  text: string;
  muted: string;
  grid: string;
  background: string;
  accent: string;
  font: string;
}

/** What the style sheet resolves to at this element: the host's colours, whatever the host is. */
export function themeOf(el: HTMLElement): Theme {
  const style = getComputedStyle(el);
  // Custom properties hold unresolved text (`light-dark(...)`), so a probe's `color` is read instead.
  const probe = el.ownerDocument.createElement("span");
  probe.hidden = true;
  el.append(probe);
  const resolve = (name: string) => {
    probe.style.color = `var(${name})`;
    return toRgb(getComputedStyle(probe).color);
  };
  const theme = {
    text: resolve("--nbt-text"),
    muted: resolve("--nbt-muted"),
    grid: resolve("--nbt-line"),
    background: resolve("--nbt-bg"),
    accent: resolve("--nbt-accent"),
    font: style.fontFamily || "sans-serif",
  };
  probe.remove();
  return { ...theme, dark: luminance(theme.background) < 0.4 };
}

/** Plotly parses rgb() and not every newer notation, such as color(srgb ...). */
function toRgb(color: string): string {
  const parts = /^color\(srgb ([\d.]+) ([\d.]+) ([\d.]+)(?: \/ ([\d.]+))?\)$/.exec(color);
  if (!parts) return color;
  const [r, g, b] = [1, 2, 3].map((i) => Math.round(Number(parts[i]) * 255));
  return `rgba(${r},${g},${b},${parts[4] ?? 1})`;
}

export function luminance(color: string): number {
  const parts = color.match(/[\d.]+/g)?.map(Number) ?? [];
  const [r = 255, g = 255, b = 255] = parts;
  return (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255;
}

/** Calls back when the host or the system switches between light and dark; returns the way to stop. */
export function onThemeChange(listener: () => void): () => void {
  const observer = new MutationObserver(listener);
  const options = {
    attributes: true,
    attributeFilter: [
      "class",
      "style",
      "data-jp-theme-name",
      "data-jp-theme-light",
      "data-vscode-theme-kind",
    ],
  };
  observer.observe(document.documentElement, options);
  observer.observe(document.body, options);
  const system = matchMedia("(prefers-color-scheme: dark)");
  system.addEventListener("change", listener);
  return () => {
    observer.disconnect();
    system.removeEventListener("change", listener);
  };
}
