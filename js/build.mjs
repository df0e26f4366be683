// Builds the bundles of nbtrack/static/: widget.js and plotly.js (ESM), report.js (one classic script).
import { mkdir, readFile, stat } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build, transform } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const outdir = join(here, "..", "nbtrack", "static");

/** Our style sheets become minified text; those that plotly.js pulls in (for maps) are dropped. */
const styles = {
  name: "styles",
  setup(b) {
    b.onLoad({ filter: /\.css$/ }, async ({ path }) => {
      if (!path.startsWith(join(here, "src") + sep)) return { contents: "", loader: "empty" };
      const { code } = await transform(await readFile(path, "utf8"), {
        loader: "css",
        minify: true,
        charset: "utf8",
      });
      return { contents: code.trim(), loader: "text" };
    });
  },
};

const common = {
  bundle: true,
  minify: true,
  charset: "utf8",
  target: "es2022",
  legalComments: "none",
  logLevel: "warning",
  plugins: [styles],
  define: { "process.env.NODE_ENV": '"production"' },
};

// plotly.js is CommonJS written for bundlers that know node's `global`.
const withPlotly = {
  ...common,
  define: {
    ...common.define,
    global: "window",
    "define.amd": "false",
    "process.env.NODE_DEBUG": "false",
  },
};

const bundles = [
  { ...common, entryPoints: ["src/hosts/widget.ts"], outfile: "widget.js", format: "esm" },
  { ...withPlotly, entryPoints: ["src/charts/bundle.ts"], outfile: "plotly.js", format: "esm" },
  { ...withPlotly, entryPoints: ["src/hosts/report.ts"], outfile: "report.js", format: "iife" },
];

await mkdir(outdir, { recursive: true });
for (const options of bundles) {
  const outfile = join(outdir, options.outfile);
  await build({ ...options, outfile, absWorkingDir: here });
  const { size } = await stat(outfile);
  const gzip = gzipSync(await readFile(outfile), { level: 9 }).length;
  const kB = (bytes) => `${(bytes / 1000).toFixed(1)} kB`;
  console.log(`${relative(join(here, ".."), outfile)}  ${kB(size)} minified, ${kB(gzip)} gzip`);
}
