"""Writes the report: the same views as the widget, with their data and their script in the page.

The file makes no request: a Content-Security-Policy in it allows its one script, by hash, and
nothing else. Without scripts (in a mail preview, say) a plain table is shown.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import secrets
import time
from collections.abc import Sequence
from pathlib import Path

from nbtrack import htmlview
from nbtrack._version import __version__
from nbtrack.bundles import read_bundle
from nbtrack.datasource import JSON, DataSource
from nbtrack.errors import InvalidParameterError
from nbtrack.media import PLOTS
from nbtrack.store.maintenance import Progress
from nbtrack.tracking import Client
from nbtrack.tracking.fluent import default_client

DEFAULT_PATH = "nbtrack-report.html"
_MAX_SERIES = 2_000
_MAX_PLOTS = 4_000_000  # characters of all plots: some 200 runs

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
</head>
<body>
<div id="nbtrack-report"></div>
<noscript>{static}</noscript>
<script type="application/json" id="nbtrack-data">{data}</script>
<script>{script}</script>
</body>
</html>
"""


def write_report(
    path: str | Path = DEFAULT_PATH,
    *,
    runs: Sequence[str] | None = None,
    title: str | None = None,
    client: Client | None = None,
    progress: Progress | None = None,
) -> Path:
    """Write one self-contained HTML file with the runs, their curves and the registered models.

    Parameters
    ----------
    path
        The file; one that is there is replaced.
    runs
        Ids, beginnings of ids, or names; default: all runs.
    title
        Heading; default: the name of the database's folder.
    client
        The database; default: the one in use.
    progress
        Called again and again with how many runs are done, and of how many.

    Returns
    -------
    pathlib.Path
        Absolute path of the file.

    Raises
    ------
    InvalidParameterError
        The folder does not exist, or the file cannot be written.
    NotFoundError
        There is no such run.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> folder = tempfile.mkdtemp()
    >>> nbtrack.set_tracking_uri(folder + "/nbtrack.db")
    >>> with nbtrack.start_run(run_name="mine"):
    ...     nbtrack.log_metric("loss", 0.5)
    >>> nbtrack.write_report(folder + "/report.html").name
    'report.html'
    """
    client = client or default_client()
    target = Path(path).expanduser().absolute()
    if target.is_dir():
        target = target / DEFAULT_PATH
    if not target.parent.is_dir():
        raise InvalidParameterError(
            f"The report {target} cannot be written: there is no folder {target.parent}.",
            hint=f"Make it: mkdir -p {target.parent}",
        )
    source = DataSource(client)
    content = _content(client, source, runs, title or _name(client), progress)
    _write(target, _page(content))
    return target


def _content(
    client: Client,
    source: DataSource,
    runs: Sequence[str] | None,
    title: str,
    progress: Progress | None = None,
) -> JSON:
    ids = None if runs is None else [client.get_run(run).info.run_id for run in runs]
    table = source.search_runs(ids)
    details, sources = _details(source, table["runs"], progress)
    histories, note = _histories(source, table["runs"])
    plots, plots_note = _plots(source, details)
    return {
        "title": title,
        "generated_ms": time.time_ns() // 1_000_000,
        "nbtrack_version": __version__,
        "database": _database(client),
        "runs": table,
        "histories": histories,
        "notes": [text for text in (note, plots_note) if text],
        "details": details,
        "plots": plots,
        "sources": sources,
        "models": source.search_models(),
    }


def _database(client: Client) -> str:
    return client.place.name if isinstance(client.place, Path) else client.tracking_uri


def _name(client: Client) -> str:
    folder = client.place.parent.name if isinstance(client.place, Path) else ""
    return folder or "nbtrack"


def _details(
    source: DataSource, runs: Sequence[JSON], progress: Progress | None = None
) -> tuple[JSON, dict[str, str]]:
    """Return the details of each run by its id, and the cells' sources, each kept once."""
    details: JSON = {}
    names: dict[str, str] = {}  # source to its reference
    for number, run in enumerate(runs, 1):
        detail = source.run_details(run["run_id"])
        cell = detail["cell"]
        if cell is not None:
            cell["source_ref"] = names.setdefault(cell.pop("source"), str(len(names)))
        del detail["run"]  # it is in the table
        details[run["run_id"]] = detail
        if progress is not None:
            progress(number, len(runs))
    return details, {reference: text for text, reference in names.items()}


def _histories(source: DataSource, runs: Sequence[JSON]) -> tuple[list[JSON], str]:
    """Return the curves of the metrics with more than one point, and what is left out of them."""
    wanted = [
        (run["run_id"], key)
        for run in runs
        for key, summary in run["metrics"].items()
        if summary["count"] > 1
    ]
    left_out = len(wanted) - _MAX_SERIES
    note = (
        f"Curves are kept of the newest runs only: {left_out:,} more are in the database."
        if left_out > 0
        else ""
    )
    return [
        series
        for run_id, key in wanted[:_MAX_SERIES]
        for series in source.metric_history([run_id], key)
    ], note


def _plots(source: DataSource, details: JSON) -> tuple[JSON, str]:
    """Return the plots of the newest runs by run id, and what is left out of them."""
    plots: JSON = {}
    size = 0
    with_plots = [
        run_id
        for run_id, detail in details.items()
        if any(file["path"].startswith(f"{PLOTS}/") for file in detail["artifacts"])
    ]
    for number, run_id in enumerate(with_plots):
        found = source.run_plots(run_id)
        size += len(json.dumps(found))
        if size > _MAX_PLOTS:
            left_out = len(with_plots) - number
            others = htmlview.format_count(left_out, "other run")
            note = (
                f"Pictures are kept of the newest runs only; those of {others} are in the database."
            )
            return plots, note
        plots[run_id] = found
    return plots, ""


def _page(content: JSON) -> str:
    script = _script()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    # Inside a script element only "<" can end it or begin a comment.
    data = json.dumps(content, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    return _PAGE.format(
        policy=policy,
        title=html.escape(content["title"]),
        static=_static(content),
        data=data,
        script=script,
    )


def _script() -> str:
    text = read_bundle("report.js")
    # A closing tag within a string of the script would end the element. The HTML parser also
    # makes one newline of each line end, before the hash of the policy is compared.
    text = re.sub("</(?=script)", r"<\\/", text, flags=re.IGNORECASE)
    return text.replace("<!--", "<\\!--").replace("\r\n", "\n")


def _static(content: JSON) -> str:
    rows = [
        htmlview.Row(
            run["run_id"],
            run["run_name"],
            run["status"],
            run["duration_ms"],
            {key: float(summary["last"]) for key, summary in run["metrics"].items()},
            run["params"],
        )
        for run in content["runs"]["runs"]
    ]
    metrics = sorted({key for row in rows for key in row.metrics})
    table = htmlview.runs_table(rows, metric_keys=metrics, param_keys=[])
    return htmlview.panel(content["title"], table, footer="Charts need JavaScript.")


def _write(target: Path, text: str) -> None:
    aside = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        # Half an emoji in a name, or a folder whose name is no UTF-8, must not stop the report.
        aside.write_bytes(text.encode("utf-8", "replace"))
        aside.replace(target)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise InvalidParameterError(
            f"The report {target} cannot be written: {error.strerror}.",
            hint="Give another path.",
        ) from error
