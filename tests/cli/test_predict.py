"""``nbtrack models predict``."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

import nbtrack
from tests.cli.calling import fail, load, succeed


@pytest.fixture
def model(workdir: Path) -> str:
    nbtrack.sklearn.save_model(LinearRegression().fit([[0.0], [1.0]], [0.0, 2.0]), workdir / "m")
    (workdir / "in.csv").write_text("x\n1\n2\n3\n")
    return "m"


@pytest.mark.filterwarnings("ignore:X has feature names")
def test_predictions_are_printed_or_written(model: str) -> None:
    printed = succeed("models", "predict", "-m", model, "-i", "in.csv")
    assert load(printed)["predictions"] == pytest.approx([2, 4, 6])
    said = succeed("models", "predict", "-m", model, "-i", "in.csv", "-o", "out.csv", "-t", "csv")
    assert said == "3 rows predicted: out.csv\n"
    assert pd.read_csv("out.csv").prediction.tolist() == pytest.approx([2, 4, 6])
    args = ("-m", model, "-i", "in.csv", "-o", "out.parquet", "--chunk-rows", 1, "--json")
    assert load(succeed("models", "predict", *args)) == {"rows": 3, "output_path": "out.parquet"}
    assert pd.read_parquet("out.parquet").prediction.tolist() == pytest.approx([2, 4, 6])
    assert not Path("nbtrack.db").exists()  # a folder needs no database


@pytest.mark.filterwarnings("ignore:X has feature names")
def test_a_registered_model(client: nbtrack.Client, model: str) -> None:
    with client.start_run("mine") as run:
        run.log_model(nbtrack.load_model(model), "sklearn", registered_model_name="line")
    client.flush()
    place = ("--db", client.place)
    printed = succeed(*place, "models", "predict", "-m", "models:/line/1", "-i", "in.csv")
    assert load(printed)["predictions"] == pytest.approx([2, 4, 6])
    fail(*place, "models", "predict", "-m", "models:/line/9", "-i", "in.csv", status=3)


def test_what_goes_wrong(model: str) -> None:
    base = ("models", "predict", "-m", model)
    assert "no file 'no.csv'" in fail(*base, "-i", "no.csv", status=3)
    Path("bad.csv").write_text("x\n1\nabc\n")
    assert "row 1" in fail(*base, "-i", "bad.csv", "-o", "out.json")
    assert not Path("out.json").exists()
    said = fail("--db", "no.db", "models", "predict", "-m", "models:/a/1", "-i", "in.csv", status=3)
    assert "There is no database" in said
    fail(*base, "-i", "in.csv", "-t", "xml", status=2)
    fail(*base, "-i", "in.csv", "--chunk-rows", 0, status=2)
    fail("models", "predict", "-i", "in.csv", status=2)
    (Path(model) / "model.pkl").write_bytes(b"cos\nsystem\n(S'touch hacked'\ntR.")
    assert "was not loaded" in fail(*base, "-i", "in.csv")
    assert not Path("hacked").exists()


def test_a_bar_on_a_terminal(model: str) -> None:
    Path("long.csv").write_text("x\n" + "1\n" * 40_000)
    # A bar comes after half a second: so many parts take longer.
    command = [sys.executable, "-W", "ignore", "-m", "nbtrack", "models", "predict", "-m", model]
    command += ["-i", "long.csv", "-o", "out.json", "--chunk-rows", "10"]
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    with subprocess.Popen(command, stderr=theirs, stdout=subprocess.PIPE) as process:
        os.close(theirs)
        shown = b""
        while chunk := _read(ours):
            shown += chunk
        assert process.wait() == 0
    os.close(ours)
    assert b"Predicting:" in shown
    assert b"%|" in shown
    assert len(json.loads(Path("out.json").read_text())["predictions"]) == 40_000


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the other end is closed
        return b""
