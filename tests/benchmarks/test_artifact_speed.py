"""A long file, logged, downloaded, checked: ``pytest -s tests/benchmarks/test_artifact_speed.py``.

Beside what the system's own tools take to copy it and to hash it, in the same minute on the same
disk. ``NBTRACK_BENCH_MB`` says how long the file is.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.benchmark

MEGABYTES = int(os.environ.get("NBTRACK_BENCH_MB", "256"))
S3_MEGABYTES = min(MEGABYTES, 200)
MB = 2**20

# Each figure: seconds of it, and by how many MB the most memory that the process ever had grew.
CHILD = """
    import sys, time
    from nbtrack import Client
    client = Client("nbtrack.db")
    def peak():
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) // 1024
    run = client.start_run("r")
    run.log_text("warm", "warm.txt")
    client.download_artifacts(run.run_id, "warm.txt", "warm")
    client.check()
    def measured(name, act):
        before, start = peak(), time.perf_counter()
        act()
        print(name, time.perf_counter() - start, peak() - before, flush=True)
    def log():
        run.log_artifact(sys.argv[1])
        client.flush()
    measured("log", log)
    if len(sys.argv) > 2:
        measured("upload", lambda: client.upload_artifacts())
    measured("download", lambda: client.download_artifacts(run.run_id, sys.argv[1], "out"))
    measured("check", lambda: client.check())
    """


def _child(folder: Path, *arguments: str, **environment: str) -> dict[str, tuple[float, int]]:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(CHILD), *arguments],
        env=os.environ | {"NBTRACK_ARTIFACT_FILE_MB": "1"} | environment,
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    lines = (line.split() for line in done.stdout.splitlines())
    return {name: (float(seconds), int(grown)) for name, seconds, grown in lines}


def _file(path: Path, megabytes: int, kind: str) -> None:
    noise = random.Random(0).randbytes(64 * MB)
    with path.open("wb") as file:
        for i in range(megabytes):
            piece = noise[(place := i * MB % (63 * MB)) : place + MB]
            file.write(bytes(MB // 2) + piece[: MB // 2] if kind == "half zeros" else piece)


def _timed(*command: str) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("kind", ["noise", "half zeros"])
def test_a_long_file(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _file(tmp_path / "big.bin", MEGABYTES, kind)
    copy = _timed("cp", str(tmp_path / "big.bin"), str(tmp_path / "copy.bin"))
    (tmp_path / "copy.bin").unlink()
    digest = _timed("sha256sum", str(tmp_path / "big.bin"))
    figures = _child(tmp_path, "big.bin")
    with capsys.disabled():
        print(f"\n{MEGABYTES} MB of {kind}: cp {copy:.2f} s, sha256sum {digest:.2f} s")
        for name, (seconds, grown) in figures.items():
            base = digest if name == "check" else copy + digest
            print(f"  {name}: {seconds:.2f} s ({seconds / base:.2f} of those), {grown} MB memory")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Start an S3 in a process of its own, so that its memory is not counted."""
    code = """
        import sys
        from moto.server import ThreadedMotoServer
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        print("%s:%s" % server.get_host_and_port(), flush=True)
        sys.stdin.read()
        """
    server = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert server.stdout is not None
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{server.stdout.readline().strip()}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    make = "import s3fs; s3fs.S3FileSystem().mkdir('bench')"
    subprocess.run([sys.executable, "-c", make], check=True)
    yield "s3://bench/runs"
    server.communicate("")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_long_file_at_s3(bucket: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _file(tmp_path / "big.bin", S3_MEGABYTES, "noise")
    figures = _child(tmp_path, "big.bin", "s3", NBTRACK_ARTIFACT_LOCATION=bucket)
    with capsys.disabled():
        print(f"\n{S3_MEGABYTES} MB of noise by S3 (moto, on loopback):")
        for name, (seconds, grown) in figures.items():
            print(f"  {name}: {seconds:.2f} s, {grown} MB memory")
