/** The whole style sheet as text, in the order in which it cascades. */

import base from "./styles/base.css";
import details from "./styles/details.css";
import layout from "./styles/layout.css";
import parts from "./styles/parts.css";
import pictures from "./styles/pictures.css";
import report from "./styles/report.css";
import table from "./styles/table.css";

export const styles: string = [base, table, parts, details, pictures, report, layout].join("\n");
