"""Digests and the paths of artifacts."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbtrack.artifacts.digest import check_path, sha256, tree_digest
from nbtrack.errors import InvalidParameterError


@given(data=st.binary())
def test_a_digest_names_its_algorithm(data: bytes) -> None:
    assert sha256(data) == sha256(memoryview(data)) == "sha256:" + hashlib.sha256(data).hexdigest()


@given(files=st.dictionaries(st.text(max_size=5), st.text("0123456789abcdef", max_size=8)))
def test_a_tree_has_one_digest_whatever_the_order(files: dict[str, str]) -> None:
    assert tree_digest(files) == tree_digest(dict(reversed(files.items())))


def test_trees_that_differ_have_digests_that_differ() -> None:
    trees = [{}, {"a": "1"}, {"a": "2"}, {"b": "1"}, {"a": "1", "b": "1"}]
    assert len({tree_digest(tree) for tree in trees}) == len(trees)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/etc/passwd",
        "..",
        "../x",
        "a/../../x",
        "a/..",
        ".",
        "./a",
        "a/./b",
        "a//b",
        "a/",
        " a",
        "a /b",
        "a\\b",
        "..\\x",
        "C:x",
        "C:/x",
        "//host/share",
        "a\0b",
        "a\nb",
        "a*",
        "a?b",
        'a"b',
        "a<b",
        "a>b",
        "a|b",
        "half\ud83d",
        "a" * 1001,
    ],
)
def test_hostile_paths_are_refused(path: str) -> None:
    with pytest.raises(
        InvalidParameterError, match=re.escape(f"{path!r} is no path for an artifact.")
    ) as caught:
        check_path(path)
    assert "for example plots/roc.json" in (caught.value.hint or "")


@pytest.mark.parametrize(
    "path",
    [
        "a",
        "model/MLmodel",
        "a b/c.d-e_f",
        "naïve/😀.txt",
        ".a",
        "..a",
        "CONSOLE",
        "nul-1",
        "COM",
        "com10",
        "a.nul",
    ],
)
def test_good_paths_stay_as_they_are(path: str) -> None:
    assert check_path(path) == path


@given(
    path=st.lists(st.sampled_from("./\\:a \0\ud83d") | st.characters(), max_size=12).map("".join)
)
def test_what_passes_stays_inside(path: str) -> None:
    try:
        check_path(path)
    except InvalidParameterError:
        return
    root = Path("/run/folder")
    assert (root / path).resolve().is_relative_to(root)
    assert (root / path).resolve() != root
    windows = PureWindowsPath("C:/run/folder")
    assert (windows / path).is_relative_to(windows)
    assert ".." not in (windows / path).parts
    path.encode()
