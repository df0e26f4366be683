"""What ``nbtrack doctor`` looks at: this installation, the database, and what is wrong with them.

Nothing is changed by looking. Each function returns facts that JSON can hold; what is wrong is
added to the problems, each a sentence and a hint.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import sys
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nbtrack._version import __version__
from nbtrack.errors import NbtrackError
from nbtrack.settings import Settings, settings

Facts = dict[str, Any]
Problems = list[dict[str, str]]

_LITTLE_ROOM = 100_000_000  # bytes
_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(?:\[[^]]*\])?\s*(?:>=(?P<since>[\d.]+))?[^;]*")
_EXTRA = re.compile(r"extra == ['\"](?P<name>[\w-]+)['\"]")
_FOR_DEVELOPERS = "dev"
_SECRET = re.compile("TOKEN|PASS|SECRET|KEY|CREDENTIAL|AUTH")  # in the name of a variable
NOTEBOOK = ("ipython", "ipykernel", "jupyterlab", "notebook")


def _problem(problems: Problems, what: str, hint: str | None) -> None:
    from nbtrack.provenance import redact

    problems.append({"what": redact(what), "hint": redact(hint or "")})


def installation() -> Facts:
    """Return which versions run, and where they are."""
    from nbtrack.db import SQLITE_VERSION

    return {
        "nbtrack": __version__,
        "nbtrack_path": str(Path(__file__).parents[1]),
        "python": platform.python_version(),
        "python_path": sys.executable,
        "sqlite": SQLITE_VERSION,
        "system": platform.platform(),
    }


def database(db: str | None, problems: Problems) -> Facts:
    """Return where the database or server is, why that one, and in which state.

    Parameters
    ----------
    db
        What ``--db`` says.
    """
    from nbtrack.db import is_network_folder
    from nbtrack.tracking.location import default_place, resolve

    try:
        path = resolve(db) if db else default_place()
    except NbtrackError as error:
        _problem(problems, error.message, error.hint)
        return {"path": None, "why": _why(db, None)}
    if not isinstance(path, Path):
        return {"path": None, "server": str(path), "why": _why(db, None)}
    folder = path.parent
    facts: Facts = {
        "path": str(path),
        "why": _why(db, path),
        "exists": path.exists(),
        "network": is_network_folder(folder),
        "writable": os.access(path if path.exists() else folder, os.W_OK)
        and os.access(folder, os.W_OK),
    }
    if not folder.is_dir():
        _problem(problems, f"There is no folder {folder}.", f"Make it: mkdir -p {folder}")
        return facts
    facts["disk_free"] = shutil.disk_usage(folder).free
    if facts["disk_free"] < _LITTLE_ROOM:
        _problem(problems, f"The disk of {folder} is nearly full.", "Make room on it.")
    if not facts["writable"]:
        _problem(
            problems,
            f"{path} cannot be written by this user.",
            "What is tracked waits in files of your own until it can be.",
        )
    if facts["exists"]:
        try:
            facts |= _inside(path)
        except NbtrackError as error:
            _problem(problems, error.message, error.hint)
    facts["journals"] = _journals(path)
    return facts


def _why(db: str | None, path: Path | None) -> str:
    if db:
        return "--db names it"
    variable = Settings.db.variable()
    if variable is not None and settings.db:
        return f"the environment variable {variable} names it"
    if path is not None and path.exists():
        return "it is the nearest nbtrack.db from the working directory upwards"
    return "there is none yet: the first run makes it"


def _inside(path: Path) -> Facts:
    """Return what the file says of itself."""
    from nbtrack.db import connect_reader, translated
    from nbtrack.migrations import LATEST

    queries = {
        "schema": "PRAGMA user_version",
        "journal_mode": "PRAGMA journal_mode",
        "experiments": "SELECT count(*) FROM experiments WHERE lifecycle_stage = 'active'",
        "runs": "SELECT count(*) FROM runs WHERE lifecycle_stage = 'active'",
        "in_trash": "SELECT count(*) FROM runs WHERE lifecycle_stage <> 'active'",
        "models": "SELECT count(*) FROM registered_models",
    }
    with closing(connect_reader(path, upgrade=False)) as conn, translated(path):
        found = {name: conn.execute(sql).fetchone()[0] for name, sql in queries.items()}
    return {"bytes": path.stat().st_size, "schema_known": LATEST, **found}


def _journals(path: Path) -> list[Facts]:
    """Return the files in which something waits, or did, for the database to be written."""
    from nbtrack.store.journal_file import pending_folders

    prefix = f"{path.name}-pending-"
    return [
        {"path": str(file), "bytes": file.lstat().st_size}
        for folder in pending_folders(path)
        if folder.is_dir()
        for file in sorted(folder.iterdir())
        if file.name.startswith(prefix)
    ]


def libraries(problems: Problems) -> list[Facts]:
    """Return the packages that nbtrack uses or tracks: their versions, and since which they do."""
    from nbtrack.autologging.integration import TABLE

    distributions = importlib.metadata.packages_distributions()
    found = [
        _library(distributions.get(row.package, [row.package])[0], row.since, row.below, "tracked")
        for row in TABLE
    ]
    try:
        lines = importlib.metadata.requires("nbtrack") or []
    except importlib.metadata.PackageNotFoundError:
        lines = []  # a source tree that is not installed
    for text in lines:
        extra = _EXTRA.search(text)
        part = _REQUIREMENT.match(text)
        if part and (extra is None or extra["name"] != _FOR_DEVELOPERS):
            role = "needed" if extra is None else f"for {extra['name']}"
            found.append(_library(part["name"], part["since"], None, role))
    for library in found:
        name, version, below = library["name"], library["version"], library["below"]
        if version is None and library["role"] == "needed":
            _problem(problems, f"{name} is not installed.", f"pip install {name}")
        elif not library["in_range"]:
            known = f"{library['since']} and newer" + (f", below {below}" if below else "")
            wanted = f"{name}>={library['since']}" + (f",<{below}" if below else "")
            _problem(
                problems,
                f"{name} is {version}; nbtrack supports {known}.",
                f'pip install "{wanted}"',
            )
    return found


def _library(name: str, since: str | None, below: str | None, role: str) -> Facts:
    version = _version(name)
    in_range = version is None or (
        (since is None or _release(version) >= _release(since))
        and (below is None or _release(version) < _release(below))
    )
    return {
        "name": name,
        "version": version,
        "since": since,
        "below": below,
        "role": role,
        "in_range": in_range,
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def notebook(problems: Problems) -> Facts:
    """Return what notebooks need: kernels, the extension, the parts of the front end."""
    from nbtrack.bundles import read_bundle

    bundles = {}
    for name in ("widget.js", "plotly.js", "report.js"):
        try:
            bundles[name] = len(read_bundle(name).encode())
        except NbtrackError as error:
            bundles[name] = 0
            _problem(problems, error.message, error.hint)
    widgets = Path(sys.prefix) / "share" / "jupyter" / "labextensions" / "anywidget"
    return {
        **{name: _version(name) for name in NOTEBOOK},
        "extension": find_spec("nbtrack.ipython") is not None and find_spec("IPython") is not None,
        "widgets": widgets.is_dir(),
        "bundles": bundles,
    }


def environment(*, mask: bool) -> dict[str, str]:
    """Return nbtrack's and MLflow's variables, secrets masked; all of them if that is wished."""
    from nbtrack.provenance import redact_value

    return {
        name: "***" if mask or _SECRET.search(name) else redact_value(name, value)
        for name, value in sorted(os.environ.items())
        if name.startswith(("NBTRACK_", "MLFLOW_"))
    }
