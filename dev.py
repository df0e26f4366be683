"""The project's commands for people and for CI.

::

    python3 dev.py quickstart           install into .venv, run the quickstart notebook
    python3 dev.py check                every check, in its own environment .venv-check
    python3 dev.py check --only ruff tsc
    python3 dev.py check --list

Needs Python 3.11 with venv and pip, and nothing else: Node.js comes from PyPI.
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036  # whoever runs this may have an older Python
    sys.exit("dev.py: nbtrack needs Python 3.11 or newer; this is " + sys.version.split()[0] + ".")

import argparse
import hashlib
import importlib.util
import os
import shutil
import subprocess
import time
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent
JS = ROOT / "js"
BIN = "Scripts" if os.name == "nt" else "bin"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BUILD_OUTPUT = {"node_modules", "static", "__pycache__"}
# What the tests compare with, in an environment of its own; it loads models of these libraries.
MLFLOW = [
    "mlflow==3.17.2",
    "catboost",
    "lightgbm",
    "onnx",
    "onnxruntime",
    "statsmodels",
    "xgboost-cpu",
]
Command = list[str | Path]


class SetupError(Exception):
    """Something that the commands need is not there; the message says how to get it."""


def say(text: str) -> None:
    """Print one line of progress, before whatever a started program prints next."""
    print(f"dev.py: {text}", flush=True)


def files_under(path: Path) -> Iterator[Path]:
    """Yield the files at or below a path, build output left out, in a fixed order."""
    if path.is_file():
        yield path
    for folder, subfolders, names in os.walk(path):
        subfolders[:] = sorted(set(subfolders) - BUILD_OUTPUT)
        # TypeScript notes there what it has compiled.
        sources = (name for name in sorted(names) if not name.endswith(".tsbuildinfo"))
        yield from (Path(folder, name) for name in sources)


def fingerprint(*paths: Path) -> str:
    """Return a digest of the names and contents of the files at or below the paths."""
    digest = hashlib.sha256(sys.version.encode())
    for path in paths:
        for file in files_under(path):
            content = file.read_bytes()
            digest.update(f"{file.relative_to(ROOT)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def is_current(stamp: Path, state: str) -> bool:
    """Tell whether the work that a stamp stands for was done for this state."""
    return stamp.is_file() and stamp.read_text() == state


class Environment:
    """A virtual environment in the project's folder, under the given name."""

    def __init__(self, name: str) -> None:
        self.path = ROOT / name
        self.bin = self.path / BIN
        self.python = self.bin / "python"
        # node and npm are the environment's own, whatever the machine has besides.
        search = f"{self.bin}{os.pathsep}{os.environ.get('PATH', '')}"
        self.variables = os.environ | {"PATH": search, "VIRTUAL_ENV": str(self.path)}

    def run(self, command: Command, cwd: Path = ROOT) -> int:
        """Run a program with the environment's own programs first in PATH."""
        program = shutil.which(str(command[0]), path=self.variables["PATH"])
        if program is None:
            say(f"there is no program '{command[0]}' in {self.path.name}")
            return 127
        return subprocess.run(
            [program, *command[1:]],
            cwd=cwd,
            env=self.variables,
            stdin=subprocess.DEVNULL,
            check=False,
        ).returncode

    def install(self, what: Command, *sources: Path) -> None:
        """Make the environment if it is absent, and install unless done for these sources."""
        stamp = self.path / "nbtrack-installed"
        if is_current(stamp, fingerprint(*sources)):
            say(f"{self.path.name} is up to date")
            return
        if importlib.util.find_spec("ensurepip") is None:
            raise SetupError(
                "this Python cannot make virtual environments; "
                "on Debian and Ubuntu: apt-get install python3-venv"
            )
        if not self.python.exists():
            say(f"making {self.path.name}")
            venv.create(self.path, with_pip=True)
        say(f"installing {' '.join(map(str, what))} into {self.path.name}; this takes minutes")
        stamp.unlink(missing_ok=True)
        if self.run([self.python, "-m", "pip", "install", "--quiet", *what]):
            raise SetupError(f"pip could not install into {self.path.name}; see its words above")
        # Taken anew: npm may have put package-lock.json in its own order.
        stamp.write_text(fingerprint(*sources))


def quickstart() -> int:
    """Install nbtrack, execute a copy of the quickstart notebook, and say what to open."""
    env = Environment(".venv")
    needed: Command = [".[notebook,sklearn]", "nbclient", "nbconvert"]
    env.install(needed, ROOT / "pyproject.toml", JS, ROOT / "nbtrack")
    folder = ROOT / "quickstart-output"
    folder.mkdir(exist_ok=True)
    notebook, report = folder / "quickstart.ipynb", folder / "report.html"
    shutil.copyfile(ROOT / "examples" / "quickstart.ipynb", notebook)
    report.unlink(missing_ok=True)  # so that one which is there afterwards is this notebook's
    say(f"running {notebook.relative_to(ROOT)}")
    execute: Command = [env.python, "-m", "nbconvert", "--to", "notebook", "--execute"]
    if env.run([*execute, "--inplace", "--log-level=WARN", notebook]):
        raise SetupError("the notebook did not run to its end; see above")
    if not report.is_file():
        raise SetupError(f"the notebook ran, but wrote no {report.name}")
    jupyter = (env.bin / "jupyter").relative_to(ROOT)
    say("done")
    print("\nOpen the report in a browser:\n    " + report.as_uri())
    print(f"Open the notebook:\n    {jupyter} lab {notebook.relative_to(ROOT)}")
    return 0


@dataclass(frozen=True)
class Check:
    """One check: a name, a program, and where it runs; with a stamp, once for each state."""

    name: str
    command: Command
    cwd: Path = ROOT
    stamp: Path | None = None
    state: str = ""


def all_checks() -> list[Check]:
    """Return every check, in the order they run."""
    npm_ci: Command = ["npm", "ci", "--no-audit", "--no-fund"]
    locked, lock = JS / "node_modules" / ".nbtrack-lock", fingerprint(JS / "package-lock.json")
    return [
        Check("format", ["ruff", "format", "--check"]),
        Check("ruff", ["ruff", "check"]),
        Check("mypy", ["mypy"]),
        Check("npm-ci", npm_ci, JS, stamp=locked, state=lock),
        Check("tsc", ["npm", "run", "check"], JS),
        Check("biome", ["npm", "run", "lint"], JS),
        Check("vitest", ["npm", "test"], JS),
        Check("pytest", ["pytest", "-m", "not browser and not mlflow", "-n", "2"]),
        Check("mlflow", ["pytest", "-m", "mlflow", "-n", "2"]),
        Check("browser", ["pytest", "-m", "browser"]),
    ]


def find_chromium() -> str | None:
    """Return the path of a Chromium, or None."""
    named = os.environ.get("CHROMIUM")
    return next(filter(None, map(shutil.which, [named] if named else BROWSERS)), None)


def ensure_chromium() -> str:
    """Return the path of a Chromium, installed first where that can be done."""
    if not find_chromium() and not os.environ.get("CHROMIUM"):
        is_root = os.name == "posix" and os.geteuid() == 0
        if is_root and shutil.which("apt-get"):
            say("installing Chromium for the browser tests")
            quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
            for step in (["update", "-qq"], ["install", "-y", "-qq", "chromium"]):
                subprocess.run(["apt-get", *step], env=quiet, stdin=subprocess.DEVNULL, check=False)
    found = find_chromium()
    if not found:
        raise SetupError(
            "the browser tests need Chromium or Chrome: install one (Debian: apt-get install "
            "chromium), or set CHROMIUM to the path of its program"
        )
    return found


def run_check(check: Check, env: Environment) -> tuple[str, float]:
    """Run one check; return its outcome and how many seconds it took."""
    if check.stamp and is_current(check.stamp, check.state):
        return "up to date", 0.0
    print(f"\n=== {check.name}: {' '.join(map(str, check.command))}", flush=True)
    start = time.monotonic()
    code = env.run(check.command, check.cwd)
    if code == 0 and check.stamp:
        check.stamp.write_text(check.state)
    seconds = time.monotonic() - start
    print(f"=== {check.name}: exit status {code} after {seconds:.1f} s", flush=True)
    return "passed" if code == 0 else "FAILED", seconds


def check(only: list[str]) -> int:
    """Run the checks, all of them even after a failure, and print a table of outcomes."""
    env = Environment(".venv-check")
    # The package is installed editable: of its own files only the front end needs a new build.
    env.install(["-e", ".[dev,sklearn]"], ROOT / "pyproject.toml", JS)
    chosen = [check for check in all_checks() if not only or check.name in only]
    if any(check.name == "browser" for check in chosen):
        env.variables["CHROMIUM"] = ensure_chromium()
    if any(check.name == "mlflow" for check in chosen):
        peer = Environment(".venv-mlflow")
        peer.install([*MLFLOW], ROOT / "dev.py")
        env.variables["NBTRACK_MLFLOW_PYTHON"] = str(peer.python)
    results = [(check.name, *run_check(check, env)) for check in chosen]
    print(f"\n{'check':<10}{'outcome':<12}{'seconds':>8}")
    for name, outcome, seconds in results:
        print(f"{name:<10}{outcome:<12}{seconds:>8.1f}")
    failed = sum(outcome == "FAILED" for _, outcome, _ in results)
    print(f"{len(results) - failed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


def main() -> int:
    """Run the command that the command line names."""
    parser = argparse.ArgumentParser(prog="dev.py", description="Commands of the nbtrack project.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("quickstart", help="install into .venv and run the quickstart notebook")
    checker = commands.add_parser("check", help="run the checks that a change has to pass")
    names = [check.name for check in all_checks()]
    checker.add_argument("--only", nargs="+", default=[], choices=names, metavar="NAME")
    checker.add_argument("--list", action="store_true", help="print the names of the checks")
    options = parser.parse_args()
    if options.command == "check" and options.list:
        print("\n".join(names))
        return 0
    try:
        return quickstart() if options.command == "quickstart" else check(options.only)
    except SetupError as error:
        print(f"dev.py: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
