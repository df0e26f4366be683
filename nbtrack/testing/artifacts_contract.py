"""What every store of artifacts has to do: a class of tests with fixtures that name the store.

Needs pytest and hypothesis. A store is tested by a subclass in a file of its own::

    class TestMyArtifacts(ArtifactsContract):
        @pytest.fixture
        def artifacts(self, tmp_path):
            return MyArtifacts(tmp_path)

        @pytest.fixture
        def run_id(self):
            return "a-run"

        def settle(self, artifacts): ...  # bring all that was put to where it stays
        def damage(self, artifacts, data): ...  # change what is stored of these bytes

A store that deviates on purpose overrides the test by name, and says why.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from nbtrack.artifacts import ArtifactStore, sha256
from nbtrack.errors import IntegrityError, InvalidParameterError, NotFoundError

MB = 2**20
NOISE = random.Random(0).randbytes(2 * MB + 17)  # noqa: S311 - not secret
HOSTILE = (
    "",
    "/absolute",
    "../outside",
    "a/../../outside",
    "a//b",
    "a\\b",
    "c:/windows",
    "a\0b",
    "half\ud83d",
    "a/NUL",
    "con.txt",
    "Com1.tar.gz",
    "dot.",
    "blank ",
    " blank",
)
CLASHES = (
    ("a", "A"),
    ("plots/Caf\u00e9.png", "plots/cafe\u0301.png"),
    ("stra\u00dfe", "STRASSE"),
    ("a", "a/b"),
    ("a/b", "a"),
    ("A/b/c", "a/B"),
)
_FEW = settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.differing_executors,  # one for each store: that is what it is for
    ],
)


class ArtifactsContract:
    """The contract; see the module's docstring."""

    def settle(self, artifacts: ArtifactStore) -> None:
        """Bring all that was put to where it stays."""

    def damage(self, artifacts: ArtifactStore, data: bytes) -> None:
        """Change what is stored of bytes."""
        raise NotImplementedError

    # -- bytes

    @_FEW
    @given(data=st.binary(max_size=2_000))
    @example(data=b"")
    @example(data=b"a" * (3 * MB))
    @example(data=NOISE)
    @example(data=NOISE[:MB])
    @example(data=b"\0" * MB + NOISE[: MB // 2])
    @example(data=NOISE[:MB] + b"a" * MB)
    def test_bytes_come_back(self, artifacts: ArtifactStore, run_id: str, data: bytes) -> None:
        artifacts.put(run_id, {"file": data})
        self.settle(artifacts)
        assert artifacts.read(run_id, "file") == data
        assert b"".join(artifacts.stream(run_id, "file")) == data
        (info,) = artifacts.list(run_id)
        assert (info.path, info.digest, info.size_bytes) == ("file", sha256(data), len(data))

    @pytest.mark.parametrize("data", [b"", b"a" * 5_000_000, NOISE], ids=["no", "even", "noise"])
    def test_a_file_comes_back(
        self, artifacts: ArtifactStore, run_id: str, data: bytes, tmp_path: Path
    ) -> None:
        source = tmp_path / "source.bin"
        source.write_bytes(data)
        artifacts.put_file(run_id, "deep/file.bin", source)
        source.write_bytes(b"changed")
        self.settle(artifacts)
        target = artifacts.download(run_id, "deep/file.bin", tmp_path / "out")
        assert target == tmp_path / "out" / "deep" / "file.bin"
        assert target.read_bytes() == data
        assert [p.name for p in target.parent.iterdir()] == ["file.bin"]

    def test_it_comes_in_pieces(self, artifacts: ArtifactStore, run_id: str) -> None:
        artifacts.put(run_id, {"noise": NOISE, "even": b"a" * 5_000_000})
        self.settle(artifacts)
        for path in ("noise", "even"):
            pieces = list(artifacts.stream(run_id, path))
            assert len(pieces) > 1
            assert max(map(len, pieces)) <= MB

    def test_it_is_readable_before_it_is_settled(
        self, artifacts: ArtifactStore, run_id: str
    ) -> None:
        artifacts.put(run_id, {"a": NOISE})
        assert artifacts.read(run_id, "a") == NOISE
        self.settle(artifacts)
        assert artifacts.read(run_id, "a") == NOISE

    def test_a_file_is_overwritten(self, artifacts: ArtifactStore, run_id: str) -> None:
        for data in (b"1", NOISE, b"2"):
            artifacts.put(run_id, {"a": data})
            assert artifacts.read(run_id, "a") == data
        assert len(artifacts.list(run_id)) == 1

    def test_the_same_bytes_in_two_files(
        self, artifacts: ArtifactStore, run_id: str, tmp_path: Path
    ) -> None:
        (tmp_path / "c").write_bytes(NOISE)
        artifacts.put(run_id, {"a": NOISE, "b": NOISE})
        artifacts.put_file(run_id, "c", tmp_path / "c")
        self.settle(artifacts)
        assert {info.digest for info in artifacts.list(run_id)} == {sha256(NOISE)}
        assert all(artifacts.read(run_id, path) == NOISE for path in "abc")

    def test_damaged_bytes_are_never_handed_out(
        self, artifacts: ArtifactStore, run_id: str, tmp_path: Path
    ) -> None:
        files = {"noise": NOISE, "even": b"a" * 5_000_000}
        artifacts.put(run_id, files)
        self.settle(artifacts)
        for path, data in files.items():
            self.damage(artifacts, data)
            with pytest.raises(IntegrityError, match=f"artifact '{path}' of run {run_id}"):
                artifacts.read(run_id, path)
            with pytest.raises(IntegrityError):
                artifacts.download(run_id, path, tmp_path / "out")
            seen: list[bytes] = []
            with pytest.raises(IntegrityError):
                seen.extend(artifacts.stream(run_id, path))
            assert sum(map(len, seen)) < len(data)
        assert list((tmp_path / "out").iterdir()) == []

    # -- paths

    def test_listing_below_a_path(self, artifacts: ArtifactStore, run_id: str) -> None:
        artifacts.put(run_id, {"a/x": b"1", "a/y/z": b"2", "ab": b"3", "a%": b"4"})
        assert [file.path for file in artifacts.list(run_id)] == ["a%", "a/x", "a/y/z", "ab"]
        for path in ("a", "a/", "/a"):
            assert [file.path for file in artifacts.list(run_id, path)] == ["a/x", "a/y/z"]
        assert [file.path for file in artifacts.list(run_id, "ab")] == ["ab"]
        assert artifacts.list(run_id, "%") == []
        assert artifacts.list("f" * 32) == []

    @pytest.mark.parametrize("path", HOSTILE)
    def test_hostile_paths_store_nothing(
        self, artifacts: ArtifactStore, run_id: str, path: str, tmp_path: Path
    ) -> None:
        source = tmp_path / "source"
        source.write_bytes(NOISE)
        with pytest.raises(InvalidParameterError, match="is no path for an artifact"):
            artifacts.put(run_id, {"good": b"1", path: b"2"})
        with pytest.raises(InvalidParameterError, match="is no path for an artifact"):
            artifacts.put_file(run_id, path, source)
        assert artifacts.list(run_id) == []

    @pytest.mark.parametrize(("first", "second"), CLASHES)
    def test_paths_that_cannot_be_beside_each_other(
        self, artifacts: ArtifactStore, run_id: str, first: str, second: str, tmp_path: Path
    ) -> None:
        source = tmp_path / "source"
        source.write_bytes(NOISE)
        with pytest.raises(InvalidParameterError, match="cannot be beside"):
            artifacts.put(run_id, {first: b"1", second: b"2"})
        artifacts.put(run_id, {first: b"1"})
        for _ in range(2):
            with pytest.raises(InvalidParameterError, match="cannot be beside"):
                artifacts.put(run_id, {"other": b"2", second: b"2"})
            with pytest.raises(InvalidParameterError, match="cannot be beside"):
                artifacts.put_file(run_id, second, source)
        artifacts.put(run_id, {first: b"3"})
        assert [info.path for info in artifacts.list(run_id)] == [first]
        assert artifacts.read(run_id, first) == b"3"

    def test_download_of_a_folder(
        self, artifacts: ArtifactStore, run_id: str, tmp_path: Path
    ) -> None:
        artifacts.put(run_id, {"a/x": b"1", "a/y/z": NOISE, "b": b"3"})
        self.settle(artifacts)
        target = tmp_path / "out"
        assert artifacts.download(run_id, "a", target) == target / "a"
        found = {p.relative_to(target).as_posix() for p in target.rglob("*") if p.is_file()}
        assert found == {"a/x", "a/y/z"}
        assert artifacts.download(run_id, "", tmp_path / "all") == tmp_path / "all"
        assert (tmp_path / "all" / "a" / "y" / "z").read_bytes() == NOISE

    def test_what_is_in_the_way_of_a_download(
        self, artifacts: ArtifactStore, run_id: str, tmp_path: Path
    ) -> None:
        artifacts.put(run_id, {"a/x": b"1", "b": b"2"})
        (tmp_path / "a").write_bytes(b"a file where a folder should be")
        (tmp_path / "b").mkdir()
        for path in ("a", "b"):
            with pytest.raises(InvalidParameterError, match="cannot be written to"):
                artifacts.download(run_id, path, tmp_path)
        assert {p.name for p in tmp_path.iterdir()} >= {"a", "b"}
        assert not list(tmp_path.glob(".nbtrack-*"))

    def test_what_is_not_there(self, artifacts: ArtifactStore, run_id: str, tmp_path: Path) -> None:
        artifacts.put(run_id, {"file": b"1"})
        for act in (
            lambda: artifacts.read(run_id, "other"),
            lambda: artifacts.stream(run_id, "other"),
            lambda: artifacts.download(run_id, "other", tmp_path),
            lambda: artifacts.download(run_id, "../nbtrack.db", tmp_path),
        ):
            with pytest.raises(NotFoundError, match=f"The run {run_id} has no artifact '.*'"):
                act()
        with pytest.raises(FileNotFoundError):
            artifacts.put_file(run_id, "a", tmp_path / "absent")
