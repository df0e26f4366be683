"""The user's call, found in cells that a magic compiles under a name of its own."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from nbtrack.autologging.callsite import CallSite, texts


@pytest.mark.parametrize("empty", ["", "\n", "\n  \n\n"])
def test_the_rest_of_a_cell_after_empty_lines(empty: str) -> None:
    body = f"{empty}x = 1\nfound = look(x)\n"
    seen: list[Any] = []

    def look(_: int) -> None:
        frame = sys._getframe(1)
        seen.append((CallSite(frame, "look").text, list(texts(frame))[-1]))

    space = {
        "__name__": "__main__",
        "look": look,
        "In": ["", f"get_ipython().run_cell_magic('time', '', {body!r})\n"],
    }
    # IPython compiles what is left without the empty lines.
    exec(compile("x = 1\nfound = look(x)\n", "<timed exec>", "exec"), space)
    assert seen == [("look(x)", "x = 1\nfound = look(x)\n")]
