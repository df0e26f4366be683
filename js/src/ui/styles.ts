/** The whole style sheet as text, in the order in which it cascades. */

import base from "./styles/base.css";
import details from "./styles/details.css";
import layout from "./styles/layout.css";
import parts from "./styles/parts.css";
import report from "./styles/report.css";
import table from "./styles/table.css";

export const styles: string = [base, table, parts, details, report, layout].join("\n");
