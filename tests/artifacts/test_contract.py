"""One contract, wherever contents lie: in the file, beside it, in memory, on a disk, at S3."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import fsspec
import pytest

from nbtrack.artifacts import ArtifactStore, places, sha256
from nbtrack.settings import settings
from nbtrack.testing.artifacts_contract import ArtifactsContract
from nbtrack.tracking import Client


class _Stored(ArtifactsContract):
    uri: str

    @pytest.fixture
    def run_id(self, client: Client) -> str:
        return client.start_run("a-run").run_id

    @pytest.fixture
    def artifacts(self, client: Client) -> ArtifactStore:
        self.client = client
        return client.workspace.artifacts

    def row(self, data: bytes) -> tuple[str, str, str]:
        query = "SELECT digest, encoding, uri FROM blobs LEFT JOIN blob_places USING (place_id)"
        with closing(sqlite3.connect(self.client.path)) as conn:
            return conn.execute(f"{query} WHERE digest = ?", (sha256(data),)).fetchone()


class TestInTheFile(_Stored):
    def settle(self, artifacts: ArtifactStore) -> None:
        self.client.flush()

    def damage(self, artifacts: ArtifactStore, data: bytes) -> None:
        digest, _, uri = self.row(data)
        assert uri is None
        with closing(sqlite3.connect(self.client.path)) as conn:
            conn.execute(
                "UPDATE blob_chunks SET data = CAST(substr(data, 1, length(data) - 1)"
                " || x'00' AS BLOB)"
                " WHERE digest = ? AND seq = 0",
                (digest,),
            )
            conn.commit()


class TestBesideTheFile(_Stored):
    @pytest.fixture(autouse=True)
    def _small_limit(self) -> None:
        settings.artifact_file_mb = 0

    def settle(self, artifacts: ArtifactStore) -> None:
        self.client.flush()

    def damage(self, artifacts: ArtifactStore, data: bytes) -> None:
        digest, encoding, uri = self.row(data)
        assert uri == places.BESIDE
        path = places.file_beside(self.client.path, digest, encoding)
        path.write_bytes(path.read_bytes()[:-1] + b"\0")


class _Elsewhere(_Stored):
    location: str

    @pytest.fixture(autouse=True)
    def _settings(self, where: str) -> None:
        settings.artifact_file_mb = 0
        settings.artifact_location = self.location = where

    def settle(self, artifacts: ArtifactStore) -> None:
        assert self.client.upload_artifacts(30) == 0
        folder = places.folder(self.client.path)
        assert [path for path in folder.rglob("*") if path.is_file()] == [
            folder / "uploading.lock"
        ] * folder.is_dir()

    def damage(self, artifacts: ArtifactStore, data: bytes) -> None:
        digest, encoding, uri = self.row(data)
        assert uri.startswith(f"{self.location}/nbtrack-")
        with fsspec.open(f"{uri}/{places.file_name(digest, encoding)}", "rb") as file:
            stored = file.read()
        with fsspec.open(f"{uri}/{places.file_name(digest, encoding)}", "wb") as file:
            file.write(stored[:-1] + b"\0")


class TestInMemory(_Elsewhere):
    @pytest.fixture
    def where(self) -> str:
        return "memory://somewhere"


class TestOnADisk(_Elsewhere):
    @pytest.fixture
    def where(self, tmp_path_factory: pytest.TempPathFactory) -> str:
        return tmp_path_factory.mktemp("disk").as_uri()


class TestAtS3(_Elsewhere):
    @pytest.fixture
    def where(self, bucket: str) -> str:
        return f"{bucket}/some/folder"
