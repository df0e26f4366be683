/** Icons drawn in the text's colour; words beside them carry the meaning. */

const PATHS = {
  check: "M3.5 8.5l3 3 6-7",
  failed: "M4.5 4.5l7 7m0-7l-7 7",
  killed: "M3 8a5 5 0 1 0 10 0A5 5 0 1 0 3 8m1.8-3.2l6.4 6.4",
  running: "M8 3a5 5 0 1 0 5 5",
  scheduled: "M3 8a5 5 0 1 0 10 0A5 5 0 1 0 3 8m5-3v3l2 1.5",
  search: "M3 7a4 4 0 1 0 8 0A4 4 0 1 0 3 7m7 3l3.5 3.5",
  close: "M4.5 4.5l7 7m0-7l-7 7",
  up: "M8 12.5v-9m-3.5 3.5l3.5-3.5 3.5 3.5",
  down: "M8 3.5v9m-3.5-3.5l3.5 3.5 3.5-3.5",
  copy: "M6 6h7v7H6zM3 10V3h7",
  tag: "M2.5 2.5h5l6 6-5 5-6-6zM5.2 5.2h.1",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class={`nbt-icon nbt-icon-${name}`} viewBox="0 0 16 16" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
