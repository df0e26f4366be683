"""Paths of a run that cannot be beside each other."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbtrack.artifacts.names import Names, folded
from nbtrack.errors import InvalidParameterError

PATHS = st.lists(st.sampled_from(["a", "A", "b", "\u00e9", "e\u0301", "\u00c9"]), min_size=1).map(
    "/".join
)


@given(text=st.text())
def test_folding_again_changes_nothing_that_counts(text: str) -> None:
    assert folded(folded(text)) == folded(text)
    assert folded(unicodedata.normalize("NFD", text)) == folded(text)


@given(paths=st.lists(PATHS, max_size=12))
def test_what_is_let_in_can_be_beside_each_other(paths: list[str]) -> None:
    names, inside = Names(), set()
    for path in paths:
        clashes = {
            other
            for other in inside
            if other != path
            and (
                folded(other) == folded(path)
                or folded(other).startswith(folded(path) + "/")
                or folded(path).startswith(folded(other) + "/")
            )
        }
        if clashes:
            with pytest.raises(InvalidParameterError) as caught:
                names.claim([path])
            assert any(repr(other) in caught.value.message for other in clashes)
        else:
            names.claim([path])
            inside.add(path)


def test_all_or_none_are_let_in() -> None:
    names = Names()
    with pytest.raises(InvalidParameterError, match="some systems take both for the same file"):
        names.claim(["x", "X"])
    with pytest.raises(InvalidParameterError, match="one of them would be a folder of the other"):
        names.claim(["X/y", "x"])
    names.claim(["X"])


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbtrack.artifacts.names._MOST", 3)
    names = Names(f"{i}" for i in range(10))
    assert names.clash("2/a") == "2"
    assert names.clash("9/a") is None  # found when it is downloaded
