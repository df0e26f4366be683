"""The layers of the package, and the fences around outside packages, read from the imports.

A *unit* is a file or a folder directly below ``nbtrack/``. A unit imports only from units of
lower layers; imports inside functions and under ``TYPE_CHECKING`` count like any other.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

LIBRARIES = ("catboost", "lightgbm", "onnx", "statsmodels", "xgboost")
LAYERS = (
    ("errors", "exits", "types", "settings", "addresses", "packing", "_lazy", "_version"),
    ("db", "migrations", "entities", "exceptions", "wire"),
    ("store", "artifacts", "models", "provenance", "media", "data"),
    ("registry", "transfer"),
    ("tracking",),
    ("autologging", "batch", "projects", "serving", "bundles", "datasource", "htmlview"),
    (
        "evaluation",
        "widgets",
        "report",
        "server",
        "testing",
        "sklearn",
        "pytorch",
        "pyfunc",
        *LIBRARIES,
    ),
    ("ipython", "cli", "__init__"),
    ("__main__",),
)
LAYER_OF = {unit: layer for layer, units in enumerate(LAYERS) for unit in units}

# The only imports between units of one layer, or upwards.
ALLOWED_SIBLINGS = {
    ("db", "migrations"),  # opening a file is what brings its schema up to date
    ("__init__", "ipython"),  # `%load_ext nbtrack` looks for its functions in the package itself
    ("addresses", "errors"),  # an address that cannot be used is one of nbtrack's errors
    ("settings", "addresses"),  # and is refused where it is set
    ("store", "artifacts"),  # who keeps the file in order looks after what lies outside of it
    ("models", "batch"),  # MLflow has it as models.predict; it is imported when it is called
    ("models", "evaluation"),  # and models.evaluate
    ("data", "provenance"),  # what is known of data without MLflow's forms; secrets are masked
    ("models", "data"),  # the schema of what a model takes is that of data
    ("packing", "errors"),  # bytes that are no chunk are one of nbtrack's errors
    ("transfer", "registry"),  # what a registered model may be called
    ("settings", "errors"),  # a value that cannot be accepted is one of nbtrack's errors
}
# Shipped for third parties; if a unit needed it, test code would run in production.
IMPORTED_BY_NOBODY = "testing"

# Outside package -> the files that may import it.
FENCES = {
    "sqlite3": r"db\.py|migrations\.py|(\w+/)+sqlite\.py",
    "sqlite_utils": r"db\.py|migrations\.py|\w+/sqlite\.py",
    "IPython": r"ipython/.*",
    "ipykernel": r"ipython/.*",
    "traitlets": r"(ipython|widgets)/.*",
    "anywidget": r"widgets/.*",
    "ipywidgets": r"widgets/.*",
    "starlette": r"(server|serving)/.*",
    "uvicorn": r"(server|serving)/.*",
    "click": r"cli\.py|cli/.*",
    "fsspec": r"artifacts/(fsspec|rest)\.py|addresses\.py|transfer/imports/mlflow/remote\.py",
    "s3fs": r"artifacts/fsspec\.py",
    "requests": r"wire/.*",
}
# An ML library has two files of its own, named after it.
ML_LIBRARIES = {
    "catboost": "catboost",
    "fastai": "fastai",
    "keras": "keras",
    "lightgbm": "lightgbm",
    "lightning": "lightning",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "optuna": "optuna",
    "pyspark": "pyspark",
    "pytorch_lightning": "lightning",
    "sklearn": "sklearn",
    "statsmodels": "statsmodels",
    "tensorflow": "keras",
    "torch": "torch",
    "transformers": "transformers",
    "xgboost": "xgboost",
}
FENCES |= {
    name: rf"(autologging|models/flavors)/{file}(/\w+)?\.py" for name, file in ML_LIBRARIES.items()
}
FENCES["skops"] = r"models/flavors/(lightgbm|sklearn)\.py"
FENCES["sklearn"] += r"|evaluation/scores\.py"  # what it measures, it measures for all models
# Importing these when a module is imported would make `import nbtrack` slow.
NEVER_AT_MODULE_LEVEL = {*ML_LIBRARIES, "numpy", "pandas"}


@dataclass(frozen=True)
class Import:
    """One imported module; `runs_at_import` unless inside a function or for type checkers only."""

    module: str
    line: int
    runs_at_import: bool


def _is_type_checking(node: ast.If) -> bool:
    return ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


def _resolve(level: int, name: str, package: str) -> str:
    """Return the absolute name of a module imported with so many leading dots."""
    if level == 0:
        return name
    parts = package.split(".")
    return ".".join([*parts[: len(parts) - level + 1], *([name] if name else [])])


def _imported(node: ast.AST, package: str) -> Iterator[tuple[str, int]]:
    """Yield the name and the line of every module that this very node imports.

    ``from a import b`` yields ``a.b``: whether b is a module or a name in one makes no
    difference to the rules, which look at the first parts only.
    """
    match node:
        case ast.Import(names=names):
            yield from ((alias.name, node.lineno) for alias in names)
        case ast.ImportFrom(module=module, names=names, level=level):
            base = _resolve(level, module or "", package)
            yield from ((f"{base}.{alias.name}", node.lineno) for alias in names)
        case ast.Call(func=function, args=[ast.Constant(value=str(name)), *_]):
            if ast.unparse(function).endswith(("import_module", "__import__")):
                bare = name.lstrip(".")
                yield _resolve(len(name) - len(bare), bare, package), node.lineno


def imports(node: ast.AST, package: str, runs_at_import: bool = True) -> Iterator[Import]:
    """Yield the imports at and below a node of a module in a package, with absolute names."""
    for module, line in _imported(node, package):
        yield Import(module, line, runs_at_import)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        runs_at_import = False
    for_types: list[ast.stmt] = []
    if isinstance(node, ast.If) and _is_type_checking(node):
        for_types = node.body
    for child in ast.iter_child_nodes(node):
        yield from imports(child, package, runs_at_import and child not in for_types)


def unit_of(module: str) -> str:
    """Return the unit that holds ``nbtrack.<unit>...``; the package's own names are __init__'s."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in LAYER_OF else "__init__"


def layer_problem(unit: str, target: str) -> str | None:
    """Say what is wrong with a unit importing another, or None."""
    if target == unit:
        return None
    if target == IMPORTED_BY_NOBODY:
        return f"nothing imports {target}"
    if LAYER_OF[target] < LAYER_OF[unit] or (unit, target) in ALLOWED_SIBLINGS:
        return None
    return f"{unit} (layer {LAYER_OF[unit]}) imports {target} (layer {LAYER_OF[target]})"


def fence_problem(file: str, found: Import) -> str | None:
    """Say what is wrong with a file importing an outside package, or None."""
    name = found.module.split(".")[0]
    if name in FENCES and not re.fullmatch(FENCES[name], file):
        return f"{name} may be imported only in {FENCES[name]}"
    if name in NEVER_AT_MODULE_LEVEL and found.runs_at_import:
        return f"{name} may be imported only inside functions"
    return None


def python_problems(package: Path) -> list[str]:
    """Return every breach of the rules in the package that lies in a folder."""
    problems = []
    for path in sorted(package.rglob("*.py")):
        file = path.relative_to(package).as_posix()
        unit = path.relative_to(package).parts[0].removesuffix(".py")
        if unit not in LAYER_OF:
            problems.append(f"{file}: {unit} has no layer")
            continue
        dotted = ".".join(["nbtrack", *path.relative_to(package).parent.parts])
        for found in imports(ast.parse(path.read_bytes()), dotted):
            if found.module.split(".")[0] == "nbtrack":
                problem = layer_problem(unit, unit_of(found.module))
            else:
                problem = fence_problem(file, found)
            if problem:
                problems.append(f"{file}:{found.line}: {problem}")
    return problems


JS_LAYERS = {"hosts": 4, "views": 3, "charts": 2, "ui": 1, "data": 0}
JS_IMPORT = re.compile(r"""\b(?:from|import|require)\s*\(?\s*["']([^"']+)["']""")
PLOTLY = re.compile(r"(@plotly/.+|plotly\.js.*)")


def js_problems(source: Path) -> list[str]:
    """Return every breach of the rules in the front end's sources: the same, by folder."""
    problems = []
    for path in sorted(p for p in source.rglob("*") if p.suffix in {".ts", ".tsx"}):
        file, unit = path.relative_to(source).as_posix(), path.relative_to(source).parts[0]
        if path.name.endswith(".d.ts"):
            continue
        if unit not in JS_LAYERS:
            problems.append(f"{file}: {unit} has no layer")
            continue
        for name in JS_IMPORT.findall(path.read_text(encoding="utf-8")):
            if PLOTLY.fullmatch(name) and unit != "charts":
                problems.append(f"{file}: only charts may import {name}")
            target = (path.parent / name).resolve() if name.startswith(".") else None
            if target and target.is_relative_to(source):
                other = target.relative_to(source).parts[0]
                if other != unit and JS_LAYERS.get(other, 9) >= JS_LAYERS[unit]:
                    problems.append(f"{file}: {unit} imports {other}")
    return problems


def test_python_keeps_its_layers_and_fences() -> None:
    assert python_problems(ROOT / "nbtrack") == []


def test_front_end_keeps_its_layers_and_fences() -> None:
    assert js_problems(ROOT / "js" / "src") == []


def _write(root: Path, file: str, text: str) -> None:
    path = root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        pytest.param("newunit/a.py", "", id="unit without a layer"),
        pytest.param("newfile.py", "", id="file without a layer"),
        pytest.param("store/a.py", "import nbtrack.tracking.client", id="upwards"),
        pytest.param("store/a.py", "from nbtrack import tracking", id="upwards, from the package"),
        pytest.param("store/a.py", "import nbtrack", id="the package itself"),
        pytest.param("store/a.py", "from nbtrack import Run", id="the package's names"),
        pytest.param("store/a.py", "from ..tracking import client", id="upwards, relative"),
        pytest.param("store/sub/a.py", "from ... import tracking", id="upwards, relative, deep"),
        pytest.param("store/__init__.py", "from ..tracking import x", id="relative, in __init__"),
        pytest.param("store/a.py", "from nbtrack.models import io", id="sibling"),
        pytest.param("migrations.py", "from nbtrack import db", id="sibling, the wrong way"),
        pytest.param("store/a.py", "def f():\n  import nbtrack.cli", id="upwards in a function"),
        pytest.param(
            "store/a.py", "if TYPE_CHECKING:\n  from nbtrack.cli import x", id="upwards for types"
        ),
        pytest.param("store/a.py", "import_module('nbtrack.cli')", id="upwards by a call"),
        pytest.param("store/a.py", "m = import_module('..cli', p)", id="relative by a call"),
        pytest.param("cli.py", "from nbtrack.testing import x", id="testing"),
        pytest.param("testing/a.py", "from nbtrack.report import x", id="testing, of a host"),
        pytest.param("store/base.py", "import sqlite3", id="sqlite3"),
        pytest.param("tracking/a.py", "from sqlite_utils.db import Table", id="sqlite_utils"),
        pytest.param("widgets/a.py", "import IPython.display", id="IPython"),
        pytest.param("report/a.py", "import traitlets", id="traitlets"),
        pytest.param("ipython/a.py", "import anywidget", id="anywidget"),
        pytest.param("report/a.py", "import click", id="click"),
        pytest.param("report/a.py", "def f():\n  import uvicorn", id="uvicorn"),
        pytest.param("artifacts/a.py", "def f():\n  import fsspec.core", id="fsspec"),
        pytest.param("autologging/torch.py", "def f():\n  import sklearn", id="sklearn elsewhere"),
        pytest.param("autologging/sklearn.py", "import sklearn.base", id="sklearn at module level"),
        pytest.param("autologging/sklearn.py", "class A:\n  import sklearn", id="in a class body"),
        pytest.param("store/a.py", "try:\n  import numpy\nexcept E: pass", id="numpy"),
        pytest.param("store/a.py", "if not TYPE_CHECKING:\n  import pandas", id="pandas"),
    ],
)
def test_a_breach_is_found(tmp_path: Path, file: str, text: str) -> None:
    _write(tmp_path, file, text)
    assert len(python_problems(tmp_path)) == 1


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("tracking/a.py", "from nbtrack.store import base\nfrom ..registry import x\nimport os"),
        ("tracking/a.py", "from . import b\nfrom .b import c\nimport nbtrack.tracking.d"),
        ("__init__.py", "from nbtrack._lazy import attach\nfrom . import types"),
        ("db.py", "import sqlite3\nfrom nbtrack.migrations import migrate"),
        ("store/sqlite.py", "import sqlite3"),
        ("store/a.py", "def f():\n  import numpy, pandas"),
        ("store/a.py", "if TYPE_CHECKING:\n  import pandas as pd"),
        ("autologging/sklearn.py", "def f():\n  from sklearn.base import BaseEstimator"),
        ("models/flavors/torch.py", "def f():\n  import torch.nn"),
        ("cli/runs.py", "import click"),
        ("testing/a.py", "from nbtrack.autologging import scope"),
    ],
)
def test_what_is_allowed_passes(tmp_path: Path, file: str, text: str) -> None:
    _write(tmp_path, file, text)
    assert python_problems(tmp_path) == []


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("data/a.ts", 'import { x } from "../views/table";'),
        ("ui/a.ts", "import { x } from '../charts/line';"),
        ("views/a.ts", 'import Plotly from "plotly.js/lib/core";'),
        ("views/a.ts", 'const p = await import("plotly.js");'),
        ("views/a.ts", 'import {\n  x,\n} from "../hosts/web";'),
        ("views/a.ts", 'export * from "../elsewhere/a";'),
        ("elsewhere/a.ts", ""),
    ],
)
def test_a_breach_in_the_front_end_is_found(tmp_path: Path, file: str, text: str) -> None:
    _write(tmp_path, file, text)
    assert len(js_problems(tmp_path)) == 1


def test_what_is_allowed_in_the_front_end_passes(tmp_path: Path) -> None:
    _write(tmp_path, "charts/a.ts", 'import P from "plotly.js/lib/core";\nimport "../data/x";')
    _write(tmp_path, "hosts/a.ts", 'import { a } from "../views/a";\nimport { h } from "preact";')
    _write(tmp_path, "charts/plotly.d.ts", 'declare module "plotly.js/lib/core";')
    assert js_problems(tmp_path) == []
