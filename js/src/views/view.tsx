/** What a view is: one function that shows, shows again with newer state, and takes itself away. */

import { type ComponentType, h, render } from "preact";
import type { DataSource } from "../data/source";

export interface ViewProps<Spec, State> {
  source: DataSource;
  /** What the view is; changes with its maker only. */
  spec: Spec;
  /** What the user did; JSON, owned by the caller. */
  state: State;
  /** Asks the caller to keep a new state, and to mount again with it. */
  onState(state: State): void;
}

/** Mounting again on the same element updates it in place: focus and scrolling stay. */
export type Mount<Spec, State> = (el: HTMLElement, props: ViewProps<Spec, State>) => () => void;

export function mounting<Spec, State>(
  View: ComponentType<ViewProps<Spec, State>>,
): Mount<Spec, State> {
  return (el, props) => {
    render(h(View, props), el);
    return () => render(null, el);
  };
}
