"""``--json``: everywhere, before and behind the command's name, and for errors, too."""

from __future__ import annotations

import json

import click
import pytest

from nbtrack.cli import main
from nbtrack.tracking import Client

from .calling import fail, load, succeed

WRITES = [
    ["runs", "delete", "first"],
    ["runs", "create", "--run-name", "third"],
    ["experiments", "create", "third"],
    ["experiments", "rename", "other", "--new-name", "another"],
    ["experiments", "delete", "other"],
    ["models", "register", "first", "iris"],
    ["gc"],
    ["gc", "--dry-run"],
    ["db", "backup", "copy.db"],
    ["db", "vacuum"],
    ["db", "upgrade"],
    ["export", "first", "out.db"],
    ["export", "mlruns", "--experiment", "other", "--mlflow"],
    ["artifacts", "upload"],
    ["merge", "more.db"],
]
READS = [
    ["runs", "list"],
    ["runs", "list", "--trash"],
    ["runs", "show", "first"],
    ["runs", "describe", "first"],
    ["experiments", "list"],
    ["experiments", "search"],
    ["experiments", "get", "other"],
    ["experiments", "csv", "other"],
    ["artifacts", "list", "first"],
    ["models", "list"],
    ["sql", "select 1 / 0 as a, x'00ff' as b, 9e999 as c, 'd' as d"],
    ["sql", "--views"],
    ["db", "check"],
    ["config"],
    ["completion", "bash"],
]


def commands(command: click.Command = main, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Return the names of each command there is."""
    if not isinstance(command, click.Group):
        return [path]
    context = click.Context(command)
    return [
        found
        for name in command.list_commands(context)
        for found in commands(command.get_command(context, name), (*path, name))
    ]


@pytest.mark.parametrize("path", commands(), ids=" ".join)
def test_every_command_takes_the_common_options(path: tuple[str, ...]) -> None:
    said = succeed(*path, "--help")
    for option in ("--db PATH", "--json", "-q, --quiet", "-h, --help"):
        assert option in said


@pytest.mark.usefixtures("workdir")
@pytest.mark.parametrize("args", READS + WRITES, ids=" ".join)
def test_the_answer_is_json(filled: Client, args: list[str]) -> None:
    more = Client("more.db")
    more.start_run("more").end()
    more.flush()
    before = load(succeed("--json", "--db", filled.path, *args)) if args in READS else None
    after = load(succeed(*args, "--json", "--db", filled.path))
    if args in READS:
        assert before == after
    more.workspace.writer.close()


def test_values_as_json_can_hold_them(filled: Client) -> None:
    query = "select 1 / 0 as a, x'00ff' as b, 9e999 as c, 'd' as d, 1.5 as e, 7 as f"
    (row,) = load(succeed("sql", query, "--json", "--db", filled.path))
    assert row == {"a": None, "b": "00ff", "c": "Infinity", "d": "d", "e": 1.5, "f": 7}
    assert load(succeed("sql", "select 1 where 0", "--json", "--db", filled.path)) == []
    message = fail("sql", "select 1 as a, 2 as a", "--json", "--db", filled.path)
    assert load(message)["hint"] == "Name them by AS."


def test_the_table_shows_what_the_json_holds(filled: Client) -> None:
    found = load(succeed("runs", "list", "--json", "--db", filled.path))
    lines = succeed("runs", "list", "--db", filled.path).splitlines()[1:]
    assert len(lines) == len(found)
    for line, data in zip(lines, found, strict=True):
        assert line.startswith(data["run_id"][:8])
        assert data["status"] in line
    found = load(succeed("experiments", "list", "--json", "--db", filled.path))
    lines = succeed("experiments", "list", "--db", filled.path).splitlines()[1:]
    assert [line.split()[:2] for line in lines] == [[x["experiment_id"], x["name"]] for x in found]


@pytest.mark.parametrize(
    ("args", "status", "error"),
    [
        (["runs", "show", "nobody"], 3, "There is no run 'nobody'."),
        (["runs", "list", "--filter", "x >"], 1, "The filter cannot be read"),
        (["runs", "burn"], 2, "No such command 'burn'."),
        (["runs", "list", "-n", "0"], 2, "Invalid value for '-n'"),
        (["--frob"], 2, "No such option"),
    ],
)
def test_errors_are_json_too(filled: Client, args: list[str], status: int, error: str) -> None:
    told = fail("--db", filled.path, "--json", *args, status=status)
    said = load(told)
    assert set(said) == {"error", "hint"}
    assert said["error"].startswith(error)
    assert len(told.splitlines()) == 1


def test_what_stands_behind_two_dashes_is_no_option(filled: Client) -> None:
    told = fail("runs", "show", "--db", filled.path, "--", "--json", status=3)
    assert told.startswith("Error: There is no run '--json'.")


def test_json_is_ascii(client: Client) -> None:
    client.start_run("日本 \x1b[31m \u202e").end()
    client.flush()
    said = succeed("runs", "list", "--json", "--db", client.path)
    assert said.isascii()
    assert json.loads(said)[0]["run_name"] == "日本 \x1b[31m \u202e"
