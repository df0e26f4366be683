/** What a view is: one function that shows, shows again with newer state, and takes itself away. */

import { Component, type ComponentChildren, type ComponentType, render } from "preact";
import type { DataSource } from "../data/source";
import { ErrorBox } from "../ui/message";

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
    render(
      <Boundary>
        <View {...props} />
      </Boundary>,
      el,
    );
    return () => render(null, el);
  };
}

/** A fault while rendering is told where the view would stand; an empty place would say nothing. */
class Boundary extends Component<{ children: ComponentChildren }, { error: unknown }> {
  override state = { error: null as unknown };

  static override getDerivedStateFromError(error: unknown) {
    return { error };
  }

  override render() {
    if (this.state.error === null) return this.props.children;
    return (
      <div class="nbt">
        <ErrorBox error={this.state.error} retry={() => this.setState({ error: null })} />
      </div>
    );
  }
}
