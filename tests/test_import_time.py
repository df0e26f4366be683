"""``import nbtrack`` and loading the extension bring in nothing heavy."""

from __future__ import annotations

import json
import subprocess
import sys

HEAVY = {
    "anywidget",
    "cloudpickle",
    "ipywidgets",
    "numpy",
    "pandas",
    "plotly",
    "sklearn",
    "sqlite_utils",
    "torch",
    "yaml",
    "zstandard",
}

# IPython may import some of them itself: only what nbtrack adds counts.
SCRIPT = """
import json, sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
before = set(sys.modules)
import nbtrack
nbtrack.load_ipython_extension(shell)
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def test_loading_imports_nothing_heavy() -> None:
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    added = {name.partition(".")[0] for name in json.loads(result.stdout.splitlines()[-1])}
    assert "nbtrack" in added
    assert added & HEAVY == set()
