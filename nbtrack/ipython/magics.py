"""``%nbtrack``: the commands of the notebook."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_cell_magic, magics_class

from nbtrack import autologging
from nbtrack.autologging import tally
from nbtrack.errors import InvalidParameterError, NbtrackError
from nbtrack.tracking.location import current_place


class Shown:
    """Something to display: HTML, and the same as text for terminals."""

    def __init__(self, html: str, text: str) -> None:
        self._html = html
        self._text = text

    def _repr_html_(self) -> str:
        return self._html

    def __repr__(self) -> str:
        return self._text


class _Parser(argparse.ArgumentParser):
    """argparse that raises instead of ending the process (here: the kernel)."""

    def error(self, message: str) -> NoReturn:
        raise InvalidParameterError(
            f"{self.prog}: {message}.", hint=f"Use: {' '.join(self.format_usage().split()[1:])}"
        )

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        raise _HelpShown


class _HelpShown(Exception):  # noqa: N818 - no error: --help was printed
    """Printing help has done all there is to do."""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of ``%nbtrack``; it is the manual, too."""
    parser = _Parser(
        prog="%nbtrack",
        description="Runs, models and reports of this notebook's database.",
    )
    commands = parser.add_subparsers(dest="command", title="commands", metavar="COMMAND")

    compare = commands.add_parser("compare", help="compare runs in a table with a chart")
    compare.add_argument("runs", nargs="*", metavar="RUN", help="ids or names; default: all")
    compare.add_argument("--metric", help="what the chart shows first")
    compare.set_defaults(function=_compare)

    runs = commands.add_parser("runs", help="list the runs, newest first")
    runs.add_argument("-n", type=_positive, default=20, help="how many (default: 20)")
    runs.add_argument("--filter", default="", metavar="FILTER", help="such as 'metrics.acc > 0.9'")
    runs.add_argument(
        "--order-by", action="append", metavar="KEY", help="such as 'metrics.acc DESC'; repeatable"
    )
    runs.set_defaults(function=_runs)

    sql = commands.add_parser("sql", help="read the database by SQL: runs, params, metrics ...")
    sql.add_argument("query", metavar="SELECT", help="one SELECT, as it is")
    sql.set_defaults(function=_sql)

    models = commands.add_parser("models", help="list the registered models")
    models.set_defaults(function=_models)

    register = commands.add_parser("register", help="register the model of a run")
    register.add_argument("run", metavar="RUN", help="id, beginning of an id, or name")
    register.add_argument("name", metavar="NAME", help="name of the registered model")
    register.set_defaults(function=_register)

    report = commands.add_parser("report", help="write one HTML file that opens offline")
    report.add_argument("path", nargs="?", metavar="PATH", help="default: nbtrack-report.html")
    report.add_argument("--title", help="heading of the report")
    report.set_defaults(function=_report)

    adopt = commands.add_parser("adopt", help="make a run from a model that was fitted before")
    adopt.add_argument("model", metavar="MODEL", help="name of the variable")
    adopt.set_defaults(function=_adopt)

    on = commands.add_parser("on", help="track libraries again")
    on.add_argument("libraries", nargs="*", metavar="LIBRARY", help="default: all")
    on.set_defaults(function=_on)

    off = commands.add_parser("off", help="stop tracking; as %%%%nbtrack off for one cell")
    off.add_argument("libraries", nargs="*", metavar="LIBRARY", help="default: all")
    off.set_defaults(function=_off)

    status = commands.add_parser("status", help="what is tracked, what was logged, what was not")
    status.set_defaults(function=_status)
    return parser


@magics_class
class NbtrackMagics(Magics):
    """The line magic ``%nbtrack``, and the cell magic ``%%nbtrack off``."""

    @line_cell_magic
    def nbtrack(self, line: str, cell: str | None = None) -> Any:
        """Show runs and models, switch tracking on and off: %nbtrack lists the commands."""
        if cell is not None:  # `%%nbtrack off` was taken off the cell before: see off_cell
            raise UsageError(f"%%nbtrack {line}: a whole cell can only be %%nbtrack off.")
        try:
            arguments = build_parser().parse_args(_split(line))
            arguments.names = self.shell.user_ns if self.shell is not None else {}
            function: Callable[[argparse.Namespace], Any] | None
            function = getattr(arguments, "function", None)
            if function is None:
                build_parser().print_help()
                return None
            return function(arguments)
        except _HelpShown:
            return None
        except NbtrackError as error:
            # One sentence and a hint, without the way through our code.
            raise UsageError(str(error)) from None


def _split(line: str) -> list[str]:
    command, _, rest = line.strip().partition(" ")
    if command == "sql" and rest.strip() not in {"", "-h", "--help"}:
        return ["sql", rest]  # the quotes in it are SQL's
    try:
        return shlex.split(line)
    except ValueError as error:
        raise InvalidParameterError(f"%nbtrack {line}: {error}.") from None


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return value


def _compare(arguments: argparse.Namespace) -> Any:
    from nbtrack.widgets import compare

    return compare(*arguments.runs, metric=arguments.metric)


def _runs(arguments: argparse.Namespace) -> Any:
    from nbtrack.tracking import fluent_search

    return fluent_search.runs(
        max_results=arguments.n, filter_string=arguments.filter, order_by=arguments.order_by
    )


def _sql(arguments: argparse.Namespace) -> Any:
    from nbtrack.tracking import fluent_search

    return fluent_search.sql(arguments.query)


def _models(_arguments: argparse.Namespace) -> Shown:
    from nbtrack import htmlview
    from nbtrack.tracking import fluent

    models = fluent.default_client().search_registered_models()
    rows = [
        [
            model.name,
            str(version.version),
            version.run_name or "",
            htmlview.format_time(version.creation_timestamp),
            f"models:/{model.name}/{version.version}",
        ]
        for model in models
        for version in model.versions
    ]
    if not rows:
        text = "No model is registered yet: %nbtrack register RUN NAME"
        return Shown(htmlview.message(text), text)
    header = ["model", "version", "run", "registered", "load by nbtrack.load_model(...)"]
    table = htmlview.plain_table(rows, header)
    return Shown(
        htmlview.panel(
            f"nbtrack · {htmlview.format_count(len(models), 'registered model')}", table
        ),
        htmlview.text_table(rows, header),
    )


def _register(arguments: argparse.Namespace) -> Shown:
    from nbtrack import htmlview
    from nbtrack.tracking import fluent_models

    version = fluent_models.register_model(arguments.run, arguments.name)
    text = (
        f"Registered {version.name} version {version.version} from run {version.run_name}: "
        f"nbtrack.load_model('models:/{version.name}/{version.version}')"
    )
    return Shown(htmlview.message(text), text)


def _report(arguments: argparse.Namespace) -> Shown:
    from nbtrack import htmlview
    from nbtrack.report import DEFAULT_PATH, write_report

    path = write_report(arguments.path or DEFAULT_PATH, title=arguments.title)
    size = htmlview.format_size(path.stat().st_size)
    text = f"The report is in {path} ({size}); it opens by double click, without a network."
    return Shown(htmlview.message(text), text)


def _adopt(arguments: argparse.Namespace) -> Shown:
    from nbtrack import htmlview
    from nbtrack.autologging.adopt import adopt

    names = arguments.names
    if arguments.model not in names:
        raise InvalidParameterError(
            f"There is no variable {arguments.model!r}.", hint="Use: %nbtrack adopt MODEL"
        )
    run = adopt(names[arguments.model])
    text = f"{arguments.model} is the run {run.run_name} ({run.run_id[:8]}) from now on."
    return Shown(htmlview.message(text), text)


def _on(arguments: argparse.Namespace) -> Shown:
    from nbtrack.autologging.tracker import FluentTracker

    autologging.enable(FluentTracker(), *arguments.libraries)
    return _status(arguments)


def _off(arguments: argparse.Namespace) -> Shown:
    autologging.disable(*arguments.libraries)
    return _status(arguments)


def _status(_arguments: argparse.Namespace) -> Shown:
    from nbtrack import htmlview

    place = current_place()
    rows = [["server", str(place), "", ""]]
    if isinstance(place, Path):
        size = "made by the first run"
        if place.exists():
            size = htmlview.format_size(place.stat().st_size)
        rows = [["database", f"{place} ({size})", "", ""]]
    for name, state in autologging.status().items():
        rows += _status_rows(name, _in_words(state), state.logged, state.skipped)
    if any(counts := tally.counts(CELLS)):
        rows += _status_rows(CELLS, "", *counts)
    header = ["what", "state", "logged", "left out"]
    return Shown(
        htmlview.panel("nbtrack · status", htmlview.plain_table(rows, header)),
        htmlview.text_table(rows, header),
    )


def _in_words(state: autologging.Status) -> str:
    if state.installed:
        return f"tracked ({state.version})"
    if state.reason.endswith("not imported yet"):
        return f"ready: {state.reason}"
    return f"off: {state.reason}"


def _status_rows(
    name: str, state: str, logged: Mapping[str, int], skipped: Mapping[str, int]
) -> list[list[str]]:
    """Return a line with what was logged, and one more for each further reason."""
    kept = ", ".join(f"{number:,} {what}" for what, number in sorted(logged.items()))
    # What was left out most often is rarely what one looks for: the rare reasons first.
    reasons = sorted(skipped.items(), key=lambda item: (item[1], item[0]))
    left_out = [f"{number:,} x {reason}" for reason, number in reasons] or [""]
    return [[name, state, kept, left_out[0]], *(["", "", "", text] for text in left_out[1:])]


CELLS = "cells"  # as `tally` knows them
_OFF = re.compile(r"\s*%%nbtrack\s+off\s*")


def off_cell(lines: list[str]) -> list[str]:
    """Take ``%%nbtrack off`` off a cell, whose other lines stay where they are.

    An input transformer of IPython; whether the cell is to be tracked is asked by `is_off`.
    """
    first = next((i for i, line in enumerate(lines) if line.strip()), None)
    if first is not None and _OFF.fullmatch(lines[first]):
        return ["\n"] * (first + 1) + lines[first + 1 :]
    return lines


def is_off(cell: str) -> bool:
    r"""Return whether a cell begins with ``%%nbtrack off``.

    Examples
    --------
    >>> is_off("%%nbtrack off\nmodel.fit(X, y)"), is_off("model.fit(X, y)")
    (True, False)
    """
    lines = cell.strip().splitlines()
    return bool(lines and _OFF.fullmatch(lines[0]))
