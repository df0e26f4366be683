"""What the shell completes: commands and options by click, names out of the database by us.

It is asked at every press of a key: it reads only, a little, and whatever goes wrong it finds
nothing. No client is opened, because that would cost more than the question.
"""

from __future__ import annotations

import contextlib
import re
import warnings
from pathlib import Path

import click
from click.shell_completion import BashComplete, CompletionItem, FishComplete, ZshComplete

from nbtrack.cli.base import Command, Options, answer, options
from nbtrack.cli.tables import clean

_LIMIT = 50
# A name may come from anywhere, and would be a part of the line that Enter runs: only words that no
# shell reads otherwise. A run of another name is completed by its id.
_PLAIN = re.compile(r"[\w@%+:./][\w@%+:./,=-]*")
_SHELLS = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}
_VARIABLE = "_NBTRACK_COMPLETE"

# Each gives words that begin so, and what is known of them.
_RUNS = """
SELECT iif(substr(run_name, 1, length(?1)) = ?1, run_name, run_id) AS word, status FROM runs
WHERE lifecycle_stage = 'active' AND (substr(run_name, 1, length(?1)) = ?1
  OR length(?1) >= 4 AND substr(run_id, 1, length(?1)) = ?1)
ORDER BY start_time DESC LIMIT {limit}"""
_DELETED_RUNS = """
SELECT run_id AS word, run_name FROM runs
WHERE lifecycle_stage <> 'active'
  AND ?1 IN (substr(run_name, 1, length(?1)), substr(run_id, 1, length(?1)))
ORDER BY start_time DESC LIMIT {limit}"""
_EXPERIMENTS = """
SELECT name AS word, 'experiment ' || experiment_id AS help FROM experiments
WHERE substr(name, 1, length(?1)) = ?1 ORDER BY experiment_id DESC LIMIT {limit}"""
_MODELS = """
SELECT name AS word, 'registered model' AS help FROM registered_models
WHERE substr(name, 1, length(?1)) = ?1 ORDER BY name LIMIT {limit}"""


def complete_run(ctx: click.Context, _param: click.Parameter, text: str) -> list[CompletionItem]:
    """Find runs by the beginning of a name or an id."""
    return _found(ctx, _RUNS, text)


def complete_deleted_run(
    ctx: click.Context, _param: click.Parameter, text: str
) -> list[CompletionItem]:
    """Find runs in the trash: their ids, by which alone they can be taken out."""
    return _found(ctx, _DELETED_RUNS, text)


def complete_experiment(
    ctx: click.Context, _param: click.Parameter, text: str
) -> list[CompletionItem]:
    """Find experiments by the beginning of a name."""
    return _found(ctx, _EXPERIMENTS, text)


def complete_model(ctx: click.Context, _param: click.Parameter, text: str) -> list[CompletionItem]:
    """Find registered models by the beginning of a name."""
    return _found(ctx, _MODELS, text)


def _found(ctx: click.Context, sql: str, text: str) -> list[CompletionItem]:
    from nbtrack.db import connect_reader
    from nbtrack.tracking.location import default_place, resolve

    said = ctx.find_object(Options)
    # Whatever is wrong with the database is told by the command: nothing may be written at a key.
    with contextlib.suppress(Exception), warnings.catch_warnings(action="ignore"):
        path = resolve(said.db) if said and said.db else default_place()
        if not isinstance(path, Path):
            return []  # a server is not asked at a key
        with contextlib.closing(connect_reader(path, upgrade=False)) as conn:
            rows = conn.execute(sql.format(limit=_LIMIT), (text,)).fetchall()
        return [
            CompletionItem(word, help=clean(known)[:60])
            for word, known in rows
            if _PLAIN.fullmatch(word)
        ]
    return []


@click.command("completion", cls=Command)
@click.argument("shell", type=click.Choice(list(_SHELLS)))
def completion(shell: str) -> None:
    """Print the script that makes a SHELL complete commands, options and names.

    \b
    bash: echo 'eval "$(nbtrack completion bash)"' >> ~/.bashrc
    zsh:  echo 'eval "$(nbtrack completion zsh)"' >> ~/.zshrc
    fish: nbtrack completion fish > ~/.config/fish/completions/nbtrack.fish
    """  # noqa: D301 - \b is click's mark for lines that stay as they are
    root = click.get_current_context().find_root().command
    made = _SHELLS[shell](root, {}, "nbtrack", _VARIABLE)
    # Not by source(): for bash that runs bash, to look at its version.
    script = made.source_template % made.source_vars()
    if options().as_json:
        answer({"shell": shell, "script": script})
    else:
        click.echo(script)
