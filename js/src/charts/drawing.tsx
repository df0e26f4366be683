/** A chart on the page: loads the chart library, follows width and theme, and says what it shows. */

import { useEffect, useRef, useState } from "preact/hooks";
import type { DataSource } from "../data/source";
import { useLoad } from "../ui/hooks";
import { ErrorBox, Loading } from "../ui/message";
import { Legend } from "./legend";
import { onThemeChange, themeOf } from "./palette";
import { type Chart, chartHeight, drawChart, eraseChart, resizeChart } from "./plot";

interface Props {
  source: DataSource;
  chart: Chart;
  /** The chart in words. */
  label: string;
}

export function Drawing({ source, chart, label }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const [failed, setFailed] = useState<unknown>(null);
  const [ready, setReady] = useState(false);
  const [dark, setDark] = useState(false);
  const library = useLoad(() => source.plotly(), [source]);
  const plotly = library.data;

  useEffect(() => {
    const el = box.current;
    if (!el || plotly === null) return;
    const draw = () => {
      const theme = themeOf(el);
      setDark(theme.dark);
      drawChart(el, plotly, chart, theme).then(() => {
        setFailed(null);
        setReady(true);
      }, setFailed);
    };
    draw();
    return onThemeChange(draw);
  }, [plotly, chart]);

  useEffect(() => {
    const el = box.current;
    if (!el || plotly === null) return;
    // The width alone: the height is ours, and following it would go round in circles.
    let width = el.clientWidth;
    const observer = new ResizeObserver(() => {
      if (el.clientWidth === width || el.clientWidth === 0) return;
      width = el.clientWidth;
      resizeChart(el, plotly);
    });
    observer.observe(el);
    return () => {
      observer.disconnect();
      eraseChart(el, plotly);
    };
  }, [plotly]);

  const error = library.error ?? failed;
  return (
    <>
      {error !== null && <ErrorBox error={error} retry={library.reload} />}
      {!ready && error === null && <Loading text="Loading the chart…" />}
      <div
        class="nbt-chart"
        data-testid="nbt-chart"
        role="img"
        aria-label={label}
        style={{ height: error === null ? `${chartHeight(chart)}px` : "0" }}
        ref={box}
      />
      {ready && chart.kind !== "bars" && chart.series.length > 1 && (
        <Legend names={chart.series.map((series) => series.name)} dark={dark} />
      )}
    </>
  );
}
