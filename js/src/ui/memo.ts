/** A component that renders again only when one of its props is another value. */

import { Component, type ComponentType, h } from "preact";

export function memo<P extends object>(View: ComponentType<P>): ComponentType<P> {
  return class extends Component<P> {
    override shouldComponentUpdate(next: Readonly<P>): boolean {
      const keys = Object.keys(next) as (keyof P)[];
      return keys.some((key) => next[key] !== this.props[key]);
    }

    override render() {
      return h(View, this.props as never);
    }
  };
}
