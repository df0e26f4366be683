"""What importing and loading nbtrack costs on top of IPython."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys

import pytest

REPEATS = 7

# CPU time counts from the start of the process, so both figures come from one process, and
# a busy machine changes their ratio little.
SCRIPT = """
import json, time
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
bare = time.process_time()
import nbtrack
nbtrack.load_ipython_extension(shell)
print(json.dumps([bare * 1000, (time.process_time() - bare) * 1000]))
"""


@pytest.mark.benchmark
def test_import_cost() -> None:
    runs = []
    for _ in range(REPEATS):
        result = subprocess.run(
            [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
        )
        runs.append(json.loads(result.stdout.splitlines()[-1]))
    bare, added = (statistics.median(column) for column in zip(*runs, strict=True))
    print(f"\nbare IPython {bare:.0f} ms CPU; nbtrack adds {added:.1f} ms: {added / bare:.1%}")
