"""URIs of runs and models, and names of models."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbtrack.errors import InvalidParameterError
from nbtrack.registry import ModelUri, RunUri, check_name, parse


@pytest.mark.parametrize(
    ("uri", "target"),
    [
        ("runs:/abc/model", RunUri("abc", "model")),
        ("runs:/abc/a/b/", RunUri("abc", "a/b")),
        ("runs://abc/model", RunUri("abc", "model")),
        ("runs:/a%20run/my%20model", RunUri("a run", "my model")),
        ("models:/iris/3", ModelUri("iris", 3)),
        ("models:/iris/latest", ModelUri("iris", "latest")),
        ("models:/iris/LATEST", ModelUri("iris", "latest")),
        ("models:/iris@champion", ModelUri("iris", "@champion")),
        ("models:/iris%20classifier/1", ModelUri("iris classifier", 1)),
        ("some/path", None),
        ("/some/path", None),
        ("C:\\models", None),
        ("", None),
        ("file:///x", None),
    ],
)
def test_forms(uri: str, target: RunUri | ModelUri | None) -> None:
    assert parse(uri) == target


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("runs:", "is no run URI"),
        ("runs:/", "is no run URI"),
        ("runs:/abc", "is no run URI"),
        ("runs:/abc/", "is no run URI"),
        ("runs:/abc///", "is no run URI"),
        ("models:", "is no model URI"),
        ("models:/iris", "is no model URI"),
        ("models:/iris/", "is no model URI"),
        ("models:/iris/-1", "is no model URI"),
        ("models:/iris/1.5", "is no model URI"),
        ("models:/iris/²", "is no model URI"),
        ("models:/iris/Sometimes", "is no model URI"),
        ("models:/iris@", "is no model URI"),
        ("models:/@champion", "is no model URI"),
        ("models:/iris/1/more", "is no model URI"),
        ("models:/iris/" + "9" * 30, "is no model URI"),
    ],
)
def test_forms_that_are_none(uri: str, message: str) -> None:
    with pytest.raises(InvalidParameterError, match=re.escape(f"{uri!r} {message}")) as caught:
        parse(uri)
    assert caught.value.hint is not None


@given(
    scheme=st.sampled_from(["runs:", "models:", "runs:/", "models:/", ""]),
    rest=st.lists(st.sampled_from("/@:%019 \0\ud83dlatest") | st.characters(), max_size=15).map(
        "".join
    ),
)
def test_no_text_breaks_the_parser(scheme: str, rest: str) -> None:
    try:
        target = parse(scheme + rest)
    except InvalidParameterError:
        return
    if isinstance(target, RunUri):
        assert target.run_id
        assert target.path.strip("/") == target.path != ""
    elif isinstance(target, ModelUri):
        assert target.name
        assert isinstance(target.version, str) or 0 <= target.version < 2**63


@given(
    name=st.lists(st.sampled_from("/@: ab%\n\0\ud83d") | st.characters(), max_size=10).map("".join)
)
def test_a_name_that_passes_can_be_written_in_a_uri(name: str) -> None:
    from urllib.parse import quote

    try:
        name = check_name(name)
    except InvalidParameterError:
        return
    name.encode()
    assert parse(f"models:/{quote(name)}/7") == ModelUri(name, 7)


@pytest.mark.parametrize(
    "name", ["", "  ", "a/b", "a:b", "a@b", "a\nb", "a\0b", "a" * 251, "half\ud83d"]
)
def test_names_that_cannot_be_used(name: str) -> None:
    with pytest.raises(InvalidParameterError, match="is no name for a registered model") as caught:
        check_name(name)
    assert "1 to 250 characters" in (caught.value.hint or "")
