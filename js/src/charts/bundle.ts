/** The Plotly that nbtrack ships: SVG scatter (in the core) and bars; no WebGL, no maps. */

import bar from "plotly.js/lib/bar";
import Plotly from "plotly.js/lib/core";

Plotly.register([bar]);

export default Plotly;
