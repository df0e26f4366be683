/** Style sheets are bundled as text. */
declare module "*.css" {
  const text: string;
  export default text;
}

// plotly.js describes its whole public surface; charts/plot.ts uses six functions and says which.
declare module "plotly.js/lib/core" {
  const core: { register(modules: unknown[]): void };
  export default core;
}
declare module "plotly.js/lib/bar" {
  const bar: unknown;
  export default bar;
}
