"""Whatever is typed: a sentence and a status, and no traceback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from nbtrack.cli.base import STATUSES
from nbtrack.tracking import Client

from .calling import run
from .test_json import commands

# What can stand in the arguments of a process: no NUL; bytes that are no UTF-8 are surrogates.
_LETTERS = st.characters(exclude_characters="\0", exclude_categories=["Cs"]) | st.sampled_from(
    "\udc80\udcff\x1b\u202e%_'\"*$`-=/.:日"
)
_WORDS = st.text(_LETTERS, max_size=12) | st.sampled_from(
    ["", "-", "--", "--json", "--db", "first", "other", "iris",  "runs:/first", "models:/x",
     "..", "/", "-r", "-a", "-x", "-n", "-u", "-o", "--filter", "select 1", "metrics.acc > 0", "-1",
     "9" * 30, "1e999", "30d", "a=b"]
)  # fmt: skip
# These make files where they are told to, or take long.
_PATHS = [path for path in commands() if path not in {("db", "backup"), ("report",)}]


@pytest.fixture
def database(filled: Client, workdir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    filled.register_model("first", "iris")
    folder = workdir / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("NBTRACK_DB", str(filled.path))
    return filled.path


@hypothesis_settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(path=st.sampled_from(_PATHS), words=st.lists(_WORDS, max_size=4), as_json=st.booleans())
def test_no_traceback(
    database: Path, path: tuple[str, ...], words: list[str], as_json: bool
) -> None:
    options = ["--json"] if as_json else []
    if "--db" in words:
        words = [word for word in words if word != "--db"]  # another file could be made by it
    result = run(*path, *options, *words)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    assert result.exit_code in STATUSES
    assert "Traceback" not in result.output
    if result.exit_code not in {0, 2}:
        assert result.stderr
    if as_json and result.exit_code in {1, 3, 4} and "--" not in words:
        json.loads(result.stderr.splitlines()[-1])
