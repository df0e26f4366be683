"""Static HTML and text of runs: what stands in a saved notebook, with no kernel and no script.

Plain semantic tables with inline styles only: GitHub strips scripts, style sheets and ids, and
untrusted notebooks are sanitised. Colours are the host's, with fallbacks. All that users or
libraries named is escaped.
"""

from __future__ import annotations

import datetime
import html
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

_BORDER = "var(--jp-border-color2, var(--vscode-panel-border, rgba(127,127,127,.35)))"
_DIM = "var(--jp-ui-font-color2, var(--vscode-descriptionForeground, #767676))"
_FONT = "var(--jp-ui-font-family, system-ui, sans-serif)"
_CELL = f"padding:2px 10px 2px 0;border-bottom:1px solid {_BORDER};vertical-align:top;"
_LEFT = f"{_CELL}text-align:left;"
_RIGHT = f"{_CELL}text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap;"
_HEAD = f"font-weight:500;color:{_DIM};white-space:normal;vertical-align:bottom;"

STATUS = {
    "FINISHED": ("✓", "var(--jp-success-color1, #2e7d32)"),
    "FAILED": ("✗", "var(--jp-error-color1, #c62828)"),
    "KILLED": ("■", "var(--jp-warn-color1, #b26a00)"),
    "RUNNING": ("●", "var(--jp-brand-color1, #1976d2)"),
    "SCHEDULED": ("○", _DIM),
}
_LONG = 60
_WIDE = 14  # characters of a name that stay on one line
_HEAD_LONG = 80  # a name is broken into lines; its end tells the data
# What training itself tells, and times; as in js/src/ui/columns.ts.
_SAYS_LITTLE = re.compile(
    r"(^|\.)training_|(^|\.)n_iter$|^(epoch|(lr|grad_norm)(_.+)?|.+_per_s)$"
    r"|(^|_)(time|duration|seconds)(_|$)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Row:
    """A run as a line of a table."""

    run_id: str
    name: str
    status: str
    duration_ms: int | None
    metrics: Mapping[str, float] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    note: str = ""


def escape(text: object) -> str:
    """Return text as HTML shows it literally, on one line."""
    flat = " ".join(str(text).split())
    return html.escape(flat, quote=True)


def clip(text: str, length: int = _LONG) -> str:
    """Return the beginning of a long text.

    Examples
    --------
    >>> clip("abcdef", 4)
    'abc…'
    """
    return text if len(text) <= length else f"{text[: length - 1]}…"


def format_number(value: float) -> str:
    """Return a number with four digits that count, or all before the point.

    Examples
    --------
    >>> format_number(0.97333), format_number(12345.6), format_number(3.0), format_number(1e-9)
    ('0.9733', '12346', '3', '1e-09')
    """
    if not math.isfinite(value):
        return {math.inf: "∞", -math.inf: "−∞"}.get(value, "NaN")
    thousand, million = 1e3, 1e6
    if thousand <= abs(value) < million:
        return f"{value:.0f}"
    return f"{value:.4g}"


def telling_first(keys: Iterable[str]) -> list[str]:
    """Return keys of metrics in their order, but those that say little of a model last.

    Examples
    --------
    >>> telling_first(["fit_time_s", "training_score", "n_iter", "accuracy_X_test"])
    ['accuracy_X_test', 'fit_time_s', 'training_score', 'n_iter']
    >>> telling_first(["test_accuracy", "mean_test_accuracy", "std_test_accuracy", "best"])
    ['mean_test_accuracy', 'best', 'test_accuracy', 'std_test_accuracy']
    """
    listed = list(keys)
    # Of folds the mean tells, and neither the last of them nor how they vary.
    folds = {key.removeprefix("mean_") for key in listed if key.startswith("mean_")}

    def says_little(key: str) -> bool:
        return key.removeprefix("std_") in folds or _SAYS_LITTLE.search(key) is not None

    return sorted(listed, key=says_little)


def format_duration(ms: int | None) -> str:
    """Return a duration for people.

    Examples
    --------
    >>> format_duration(12), format_duration(3456), format_duration(150_000)
    ('12 ms', '3.5 s', '2 min 30 s')
    """
    if ms is None:
        return ""
    second, minute, hour = 1000, 60_000, 3_600_000
    if ms < second:
        return f"{ms} ms"
    if ms < minute:
        return f"{ms / second:.1f} s"
    if ms < hour:
        return f"{ms // minute} min {ms % minute // second} s"
    return f"{ms // hour} h {ms % hour // minute} min"


def format_count(number: int, name: str) -> str:
    """Return how many there are of something.

    Examples
    --------
    >>> format_count(1, "run"), format_count(1200, "run")
    ('1 run', '1,200 runs')
    """
    return f"{number:,} {name}{'' if number == 1 else 's'}"


def format_size(size: int) -> str:
    """Return a number of bytes for people.

    Examples
    --------
    >>> format_size(800), format_size(2_500_000)
    ('800 B', '2.4 MB')
    """
    value, units = float(size), ["B", "KB", "MB", "GB", "TB"]
    step = 1024
    while value >= step and len(units) > 1:
        value /= step
        units.pop(0)
    return f"{value:.0f} B" if units[0] == "B" else f"{value:.1f} {units[0]}"


def format_time(ms: int) -> str:
    """Return a moment in the local time zone, to the minute."""
    moment = datetime.datetime.fromtimestamp(ms / 1000).astimezone()
    return moment.strftime("%Y-%m-%d %H:%M")


def anchor(run_id: str) -> str:
    """Return the name by which links of the page find a run."""
    return f"nbtrack-{escape(run_id)}"


def runs_table(
    rows: Sequence[Row], *, metric_keys: Sequence[str], param_keys: Sequence[str]
) -> str:
    """Return a table of runs: name, state, duration, then the chosen metrics and params."""
    head = _row(
        [
            _th("Run"),
            _th("Duration", right=True),
            *(_th(clip(key, _HEAD_LONG), key, right=True) for key in metric_keys),
            *(_th(clip(key, _HEAD_LONG), key) for key in param_keys),
        ]
    )
    body = "".join(
        _row([_name(row), _td(format_duration(row.duration_ms), right=True), *values])
        for row in rows
        for values in [_values(row, metric_keys, param_keys)]
    )
    return _table(head, body)


def plain_table(rows: Iterable[Sequence[str]], header: Sequence[str]) -> str:
    """Return a table of texts."""
    head = _row(_th(text) for text in header)
    body = "".join(_row(_td(clip(cell), cell) for cell in row) for row in rows)
    return _table(head, body)


def panel(title: str, inner: str, *, footer: str = "") -> str:
    """Return a titled box with a table in it; `title` and `footer` are text, `inner` is HTML."""
    foot = f'<div style="color:{_DIM};margin-top:4px">{escape(footer)}</div>' if footer else ""
    return (
        f'<div style="border:1px solid {_BORDER};border-radius:6px;padding:8px 12px;margin:4px 0;'
        f"font-family:{_FONT};font-size:12px;max-width:100%;overflow-x:auto;"
        f'box-sizing:border-box"><div style="font-weight:600;margin-bottom:4px">{escape(title)}'
        f"</div>{inner}{foot}</div>"
    )


def text_table(rows: Iterable[Sequence[object]], header: Sequence[str]) -> str:
    """Return a table for a terminal, its columns as wide as what they hold."""
    lines = [[clip(_flat(cell), 40) for cell in row] for row in (header, *rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def message(text: str) -> str:
    """Return a sentence, perhaps with a hint on the next line, as HTML."""
    lines = "<br>".join(html.escape(line) for line in text.splitlines())
    return f'<div style="font-family:{_FONT};font-size:12px">{lines}</div>'


_NOTICES = {
    "error": STATUS["FAILED"],
    "warning": ("⚠", "var(--jp-warn-color1, #b26a00)"),
    "info": ("•", _DIM),
}


def notice(text: str, kind: str = "info", *, link: tuple[str, str] | None = None) -> str:
    """Return what is to be told of a run, as HTML.

    Parameters
    ----------
    kind
        ``error``, ``warning`` or ``info``.
    link
        A part of the text, and the address that it leads to.
    """
    icon, colour = _NOTICES[kind]
    content = escape(text)
    if link is not None:
        words, address = (escape(part) for part in link)
        if words:
            content = content.replace(words, f'<a href="{address}">{words}</a>', 1)
    return (
        f'<div style="font-family:{_FONT};font-size:12px;margin-top:4px">'
        f'<span style="color:{colour};font-weight:600" title="{kind}">{icon}</span> {content}</div>'
    )


def _flat(cell: object) -> str:
    # Control characters would steer the terminal.
    return "".join(c if c.isprintable() else " " for c in str(cell))


def _table(head: str, body: str) -> str:
    return (
        f'<table style="border-collapse:collapse;font-size:12px;margin:0;font-family:{_FONT}">'
        f"<thead>{head}</thead><tbody>{body}</tbody></table>"
    )


def _values(row: Row, metric_keys: Sequence[str], param_keys: Sequence[str]) -> list[str]:
    metrics = (
        _td(format_number(row.metrics[key]), str(row.metrics[key]), right=True)
        if key in row.metrics
        else _td("–", right=True)
        for key in metric_keys
    )
    params = (
        _td(clip(row.params[key]), row.params[key]) if key in row.params else _td("–")
        for key in param_keys
    )
    return [*metrics, *params]


def _name(row: Row) -> str:
    icon, colour = STATUS.get(row.status, ("?", _DIM))
    word = escape(row.status.lower())
    note = f' <span style="color:{_DIM}">{escape(row.note)}</span>' if row.note else ""
    shown = "" if row.status == "FINISHED" else f' <span style="color:{colour}">{word}</span>'
    return (
        f'<td style="{_LEFT}white-space:nowrap">'
        f'<span style="color:{colour}" title="{word}">{icon}</span> '
        f'<span id="{anchor(row.run_id)}" title="{escape(row.name)} · {escape(row.run_id)}">'
        f"{escape(clip(row.name))}</span>"
        f"{shown}{note}</td>"
    )


def _row(cells: Iterable[str]) -> str:
    return f'<tr style="background:transparent">{"".join(cells)}</tr>'


def _th(text: str, title: str = "", *, right: bool = False) -> str:
    # A name that is broken into lines is whole here, for those who search or copy it.
    hover = f' title="{escape(title)}"' if title and (title != text or len(text) > _WIDE) else ""
    style = f"{_RIGHT if right else _LEFT}{_HEAD}"
    return f'<th style="{style}"{hover}>{_breakable(escape(text))}</th>'


def _breakable(escaped: str) -> str:
    """Let a long name break into lines after what parts its words."""
    if len(escaped) <= _WIDE:
        return escaped
    return re.sub(r"(?<=[a-zA-Z0-9])([_.]+)(?=[a-zA-Z0-9])", r"\1<wbr>", escaped)


def _td(text: str, title: str = "", *, right: bool = False) -> str:
    hover = f' title="{escape(clip(title, 500))}"' if title and title != text else ""
    return f'<td style="{_RIGHT if right else _LEFT}"{hover}>{escape(text)}</td>'
