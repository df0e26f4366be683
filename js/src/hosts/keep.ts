/** Keeps a view's state for a host: mounts, and mounts again whenever the state changes. */

import type { DataSource } from "../data/source";
import type { Mount } from "../views/view";

export interface Kept<Spec, State> {
  update(change: { spec?: Spec; state?: State }): void;
  readonly state: State;
  dispose(): void;
}

export function keep<Spec, State>(
  el: HTMLElement,
  mount: Mount<Spec, State>,
  source: DataSource,
  spec: Spec,
  state: State,
  onState: (state: State, before: State) => void = () => undefined,
): Kept<Spec, State> {
  let current = { spec, state };
  let dispose: () => void;
  const show = () => {
    dispose = mount(el, {
      source,
      ...current,
      onState(next) {
        const before = current.state;
        current = { ...current, state: next };
        show();
        onState(next, before);
      },
    });
  };
  show();
  return {
    update(change) {
      current = { ...current, ...change };
      show();
    },
    get state() {
      return current.state;
    },
    dispose: () => dispose(),
  };
}
