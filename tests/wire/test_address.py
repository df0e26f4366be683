"""Addresses of servers, and who we say that we are."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbtrack.errors import InvalidParameterError
from nbtrack.wire import Address, is_address, parse_address
from nbtrack.wire.address import credentials


@pytest.mark.parametrize(
    ("uri", "url"),
    [
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("HTTP://Host/", "http://host"),
        ("https://a:b@host:1/x/y/", "https://host:1/x/y"),
        ("http://[::1]:5000", "http://[::1]:5000"),
    ],
)
def test_an_address_is_shown_without_user_and_password(uri: str, url: str) -> None:
    assert str(parse_address(uri)) == url
    assert parse_address(url) == Address(url)


@pytest.mark.parametrize(
    "uri",
    ["http://", "http://host:port", "http://a:secret@host:99999", "http://a:secret@ho st",
     "http://me:secret@host?x=1", "http://host#x", "http://[::1", "ftp://host"],
)  # fmt: skip
def test_what_is_no_address(uri: str) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        parse_address(uri)
    assert "secret" not in str(caught.value)
    assert caught.value.hint


@given(st.text())
def test_any_text_is_an_address_or_refused(text: str) -> None:
    uri = f"http://{text}"
    assert is_address(uri)
    try:
        address = parse_address(uri)
    except InvalidParameterError:
        return
    assert "@" not in str(address).partition("://")[2].partition("/")[0]
    assert parse_address(str(address)) == Address(str(address))


def test_password_is_in_no_repr() -> None:
    address = parse_address("https://me:s3cret@host")
    assert (address.username, address.password) == ("me", "s3cret")
    assert "s3cret" not in f"{address!r}{address}{credentials(address)!r}"


def test_who_we_are(monkeypatch: pytest.MonkeyPatch) -> None:
    address = Address("http://host")
    assert credentials(address).username == ""
    folder = Path("~/.mlflow").expanduser()
    folder.mkdir()
    (folder / "credentials").write_text(
        "[mlflow]\nmlflow_tracking_username = file\nmlflow_tracking_password = p%w\n"
    )
    assert (credentials(address).username, credentials(address).password) == ("file", "p%w")
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "env")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "other")
    assert (credentials(address).username, credentials(address).password) == ("env", "other")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "theirs")
    monkeypatch.setenv("NBTRACK_TRACKING_TOKEN", "ours")
    assert credentials(address).token == "ours"
    assert credentials(Address("http://host", "url", "x")).username == "url"
    monkeypatch.undo()
    (folder / "credentials").write_bytes(b"\xff\x00 no ini")
    assert credentials(address).username == ""
    (folder / "credentials").unlink()
    folder.rmdir()
