"""What a command costs before it does anything, beside click alone and MLflow's command line."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from nbtrack.tracking import Client

REPEATS = 7


def cpu_ms(command: list[str], repeats: int = REPEATS) -> float:
    """Return the least CPU time that a process took: a busy machine changes it little."""
    found = []
    for _ in range(repeats):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        found.append(sum(after[:2]) - sum(before[:2]))
    return min(found) * 1000


@pytest.mark.benchmark
def test_start_of_the_command_line(client: Client, tmp_path: Path) -> None:
    for number in range(50):
        with client.start_run(f"run-{number}") as run:
            run.log_metric("acc", number / 50)
    client.flush()
    nbtrack = [sys.executable, "-m", "nbtrack"]
    completing = f"nbtrack --db {client.path} runs show run-4"
    environment = {
        "_NBTRACK_COMPLETE": "bash_complete",
        "COMP_WORDS": completing,
        "COMP_CWORD": "5",
    }
    measured = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "python -c 'import click'": [sys.executable, "-c", "import click"],
        "nbtrack --help": [*nbtrack, "--help"],
        "nbtrack runs list": [*nbtrack, "--db", str(client.path), "runs", "list"],
        "nbtrack sql": [*nbtrack, "--db", str(client.path), "sql", "select count(*) from runs"],
        "completion of a run": ["env", *(f"{k}={v}" for k, v in environment.items()), *nbtrack],
    }
    costs = {name: cpu_ms(command) for name, command in measured.items()}
    print()
    for name, cost in costs.items():
        ratio = cost / costs["python -c 'import click'"]
        print(f"{name}: {cost:.0f} ms CPU, {ratio:.1f} times click alone")


@pytest.mark.benchmark
@pytest.mark.mlflow
def test_beside_mlflow(mlflow_python: str) -> None:
    ours = cpu_ms([sys.executable, "-m", "nbtrack", "--help"])
    theirs = cpu_ms([mlflow_python, "-m", "mlflow", "--help"], 3)
    print(
        f"\nnbtrack --help {ours:.0f} ms CPU, mlflow --help {theirs:.0f}: {theirs / ours:.0f} times"
    )
