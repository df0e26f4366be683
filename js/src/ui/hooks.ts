/** Small hooks: loading, the time, and TanStack's virtualizer for Preact. */

import {
  elementScroll,
  observeElementOffset,
  observeElementRect,
  type VirtualItem,
  Virtualizer,
} from "@tanstack/virtual-core";
import type { RefObject } from "preact";
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

export interface Loaded<T> {
  data: T | null;
  error: unknown;
  loading: boolean;
  reload(): void;
}

/**
 * Loads now, and again when `deps` change or `reload` is called. The last data stay while newer are
 * fetched or when that fails; answers that come too late are dropped.
 */
export function useLoad<T>(load: () => Promise<T>, deps: readonly unknown[]): Loaded<T> {
  const [state, setState] = useState<Omit<Loaded<T>, "reload">>({
    data: null,
    error: null,
    loading: true,
  });
  const turn = useRef(0);
  // The caller says when to load again.
  const reload = useCallback(() => {
    turn.current += 1;
    const mine = turn.current;
    setState((old) => ({ ...old, loading: true }));
    // Promise.resolve().then also catches a load that throws before it returns its promise.
    Promise.resolve()
      .then(load)
      .then(
        (data) => mine === turn.current && setState({ data, error: null, loading: false }),
        (error) => mine === turn.current && setState((old) => ({ ...old, error, loading: false })),
      );
  }, deps);
  useEffect(() => {
    reload();
    return () => {
      turn.current += 1;
    };
  }, [reload]);
  return { ...state, reload };
}

/** The time, refreshed every `everyMs`, for "5 min ago". */
export function useNow(everyMs = 30_000): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}

export interface VirtualRows {
  items: { index: number }[];
  before: number;
  after: number;
}

/** Which rows to render in a scrolling box, and the empty space before and after them. */
export function useVirtualRows(
  box: RefObject<HTMLElement | null>,
  count: number,
  rowHeight: number,
  enabled: boolean,
): VirtualRows {
  const [, redraw] = useState(0);
  const options = {
    count,
    enabled,
    getScrollElement: () => box.current,
    estimateSize: () => rowHeight,
    overscan: 8,
    scrollToFn: elementScroll,
    observeElementRect,
    observeElementOffset,
    onChange: () => redraw((n) => n + 1),
  };
  const virtual = useRef<Virtualizer<HTMLElement, HTMLElement> | null>(null);
  virtual.current ??= new Virtualizer<HTMLElement, HTMLElement>(options);
  virtual.current.setOptions(options);
  useLayoutEffect(() => virtual.current?._didMount(), []);
  useLayoutEffect(() => virtual.current?._willUpdate());
  if (!enabled) {
    return { items: Array.from({ length: count }, (_, index) => ({ index })), before: 0, after: 0 };
  }
  const items: VirtualItem[] = virtual.current.getVirtualItems();
  const last = items.at(-1);
  return {
    items,
    before: items[0]?.start ?? 0,
    after: virtual.current.getTotalSize() - (last?.end ?? 0),
  };
}
