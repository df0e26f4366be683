"""The seal: whose model it is, and whether it is unchanged."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from nbtrack.models import seal

ROOT = Path(__file__).resolve().parents[2]
FILES = {"MLmodel": b"flavors: {}", "data/model.pkl": b"\x80\x04N."}


@pytest.fixture
def key_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the test a key of its own; return where it will be."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data-home"))
    return tmp_path / "data-home" / "nbtrack" / "seal.key"


@pytest.fixture
def sealed(tmp_path: Path, key_home: Path) -> Path:
    directory = tmp_path / "model"
    for name, data in (FILES | seal.seal(FILES)).items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return directory


def test_a_sealed_directory_is_ours(sealed: Path) -> None:
    assert seal.problem(sealed) is None


@pytest.mark.skipif(os.name != "posix", reason="modes of files are a matter of POSIX")
def test_only_this_user_can_read_the_key(sealed: Path, key_home: Path) -> None:
    assert stat.S_IMODE(key_home.stat().st_mode) == 0o600
    assert len(key_home.read_bytes()) == 32
    assert [file.name for file in key_home.parent.iterdir()] == ["seal.key"]


CHANGED = "its files were changed after it was saved"
FOREIGN = "it was saved by somebody else, or on another machine"
UNREADABLE = "its seal cannot be read"


def test_changed_files(sealed: Path) -> None:
    (sealed / "data" / "model.pkl").write_bytes(b"other")
    assert seal.problem(sealed) == CHANGED


def test_added_files(sealed: Path) -> None:
    (sealed / "data" / "more.pkl").write_bytes(b"")
    assert seal.problem(sealed) == CHANGED


def test_removed_files(sealed: Path) -> None:
    (sealed / "MLmodel").unlink()
    assert seal.problem(sealed) == CHANGED


def test_a_missing_seal(sealed: Path) -> None:
    (sealed / seal.FILE).unlink()
    assert seal.problem(sealed) == "it carries no seal of nbtrack"


def test_another_users_key(sealed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "other-home"))
    assert seal.problem(sealed) == FOREIGN


def test_digests_that_were_changed_along(sealed: Path) -> None:
    import hashlib

    (sealed / "MLmodel").write_bytes(b"other")
    content = json.loads((sealed / seal.FILE).read_text())
    content["files"]["MLmodel"] = hashlib.sha256(b"other").hexdigest()
    (sealed / seal.FILE).write_text(json.dumps(content))
    assert seal.problem(sealed) == FOREIGN


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", UNREADABLE),
        ("[]", UNREADABLE),
        ("{}", UNREADABLE),
        ('{"files": []}', UNREADABLE),
        ('{"files": [], "hmac_sha256": ""}', UNREADABLE),
        ('{"files": {}, "hmac_sha256": ""}', FOREIGN),
        ('{"files": {}, "hmac_sha256": null}', FOREIGN),
        ('{"files": {"\\ud800": 1}, "hmac_sha256": "\\ud800 not ascii é"}', FOREIGN),
        ("[" * 100_000, UNREADABLE),
        (b"\xff\xfe", UNREADABLE),
    ],
)
def test_seals_that_somebody_made_up(sealed: Path, text: str | bytes, problem: str) -> None:
    (sealed / seal.FILE).write_bytes(text if isinstance(text, bytes) else text.encode())
    assert seal.problem(sealed) == problem


@pytest.mark.parametrize("key", [b"", b"short"])
def test_a_key_that_is_no_secret_seals_nothing(key_home: Path, tmp_path: Path, key: bytes) -> None:
    import hashlib
    import hmac

    key_home.parent.mkdir(parents=True)
    key_home.write_bytes(key)
    assert seal.seal(FILES) == {}
    forged = {name: hashlib.sha256(data).hexdigest() for name, data in {"a": b"1"}.items()}
    message = json.dumps(forged, sort_keys=True).encode()
    signature = hmac.new(key, message, hashlib.sha256).hexdigest()
    directory = tmp_path / "forged"
    directory.mkdir()
    (directory / "a").write_bytes(b"1")
    (directory / seal.FILE).write_text(json.dumps({"files": forged, "hmac_sha256": signature}))
    assert seal.problem(directory) == FOREIGN


def test_without_a_place_for_the_key_there_is_no_seal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file" / "below"))
    assert seal.seal(FILES) == {}


def test_processes_that_make_the_key_at_once_agree(key_home: Path) -> None:
    script = (
        "import sys\nfrom nbtrack.models import seal\nimport platformdirs, hmac, secrets\n"
        "print('ready', flush=True)\nsys.stdin.read(1)\nprint(seal._key().hex())"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("x")
        process.stdin.flush()
    keys = {process.communicate(timeout=30)[0].strip() for process in processes}
    assert keys == {key_home.read_bytes().hex()}


def test_a_file_system_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "seal.key"
    key = seal._read_or_make_key(path)
    assert key is not None
    assert path.read_bytes() == key
    assert [file.name for file in tmp_path.iterdir()] == ["seal.key"]
