/** The lines' names as text of the page: they wrap, can be copied, and are never markup. */

import { type Dash, styleOf } from "./palette";

const DASH_ARRAYS: Record<Dash, string> = {
  solid: "none",
  dash: "6 3",
  dot: "2 2.5",
  dashdot: "6 2.5 2 2.5",
};

export function Legend({ names, dark }: { names: string[]; dark: boolean }) {
  return (
    <ul class="nbt-legend" aria-hidden="true">
      {names.map((name, i) => {
        const { color, dash } = styleOf(i, dark);
        return (
          // Two runs may have one name; places are stable.
          <li key={i} title={name}>
            <svg viewBox="0 0 26 8" aria-hidden="true">
              <path
                d="M1 4h24"
                stroke={color}
                stroke-width="2"
                stroke-dasharray={DASH_ARRAYS[dash]}
              />
            </svg>
            <bdi>{name}</bdi>
          </li>
        );
      })}
    </ul>
  );
}
