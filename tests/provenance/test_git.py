"""The commit of a working tree, read from the files of git."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from nbtrack.provenance import git, source_tags
from nbtrack.provenance.git import GitState, git_state

COMMIT = "0123456789abcdef0123456789abcdef01234567"
needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@pytest.fixture(autouse=True)
def _look_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git, "_seen", {})


def run_git(folder: Path, *arguments: str) -> str:
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    person = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "gc.auto=0"]
    done = subprocess.run(
        ["git", *person, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """Return a repository with one commit on the branch ``main``."""
    folder = tmp_path / "repo"
    folder.mkdir()
    run_git(folder, "init", "-q", "-b", "main")
    run_git(folder, "commit", "-q", "--allow-empty", "-m", "one")
    return folder


def fake(folder: Path, **files: str) -> Path:
    """Make a .git of these files; ``__`` in a name is a slash."""
    for name, text in files.items():
        path = folder / ".git" / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@needs_git
def test_a_branch(repo: Path) -> None:
    (repo / "deep" / "er").mkdir(parents=True)
    state = git_state(repo / "deep" / "er")
    assert state == GitState(run_git(repo, "rev-parse", "HEAD"), "main", "")


@needs_git
def test_packed_refs(repo: Path) -> None:
    run_git(repo, "branch", "main2")
    run_git(repo, "pack-refs", "--all")
    assert not (repo / ".git" / "refs" / "heads" / "main").exists()
    assert git_state(repo) == GitState(run_git(repo, "rev-parse", "HEAD"), "main", "")


@needs_git
def test_no_branch(repo: Path) -> None:
    run_git(repo, "checkout", "-q", "--detach")
    assert git_state(repo) == GitState(run_git(repo, "rev-parse", "HEAD"), "", "")


@needs_git
def test_a_linked_worktree(repo: Path) -> None:
    run_git(repo, "remote", "add", "origin", "git@example.org:me/x.git")
    run_git(repo, "worktree", "add", "-q", "-b", "feature/a-b", "../linked")
    linked = repo.parent / "linked"
    run_git(linked, "commit", "-q", "--allow-empty", "-m", "two")
    state = git_state(linked)
    head = run_git(linked, "rev-parse", "HEAD")
    assert state == GitState(head, "feature/a-b", "git@example.org:me/x.git")
    run_git(repo, "pack-refs", "--all")
    git._seen.clear()
    assert git_state(linked) == state


@needs_git
def test_a_new_commit_is_seen_after_a_while(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = git_state(repo)
    run_git(repo, "commit", "-q", "--allow-empty", "-m", "two")
    assert git_state(repo) == before
    monkeypatch.setattr(git, "_FRESH_S", -1.0)
    after = git_state(repo)
    assert after is not None
    assert after.commit == run_git(repo, "rev-parse", "HEAD")


def test_an_empty_repository(tmp_path: Path) -> None:
    assert git_state(fake(tmp_path, HEAD="ref: refs/heads/main\n")) is None


def test_no_repository(tmp_path: Path) -> None:
    assert git_state(tmp_path) is None
    assert git_state(tmp_path / "gone") is None
    assert git_state(tmp_path / "a\0b") is None


@pytest.mark.parametrize(
    ("url", "stored"),
    [
        ("https://example.org/x.git", "https://example.org/x.git"),
        ("https://me:hunter22@example.org/x.git", "https://example.org/x.git"),
        ("https://ghp_abcdef@example.org/x.git", "https://example.org/x.git"),
        ("git@example.org:x.git", "git@example.org:x.git"),
        ("/srv/x.git", "/srv/x.git"),
    ],
)
def test_the_url_without_secrets(tmp_path: Path, url: str, stored: str) -> None:
    config = f'[core]\n\turl = no\n[remote "origin"]\n\tfetch = +x\n\turl = {url}\n'
    state = git_state(fake(tmp_path, HEAD=COMMIT, config=config))
    assert state == GitState(COMMIT, "", stored)


@pytest.mark.parametrize(
    "head",
    [
        "",
        "nonsense",
        "0" * 39,
        "ref:",
        "ref: refs/heads/../../secret",
        "ref: /etc/passwd",
        "ref: refs/heads/a\0b",
        f"ref: refs/heads/{'x' * 5000}",
        "ref: refs/heads/main; touch x",
        "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
        "x" * 200_000,
    ],
)
def test_a_hostile_head(tmp_path: Path, head: str) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_bytes(head.encode("utf-8", "replace"))
    (tmp_path / "secret").write_text(COMMIT)
    assert git_state(tmp_path) is None


def test_what_is_no_commit_is_left_out(tmp_path: Path) -> None:
    folder = fake(tmp_path, HEAD="ref: refs/heads/main", refs__heads__main="<script>alert(1)")
    assert git_state(folder) is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    os.mkfifo(tmp_path / ".git" / "HEAD")
    assert git_state(tmp_path) is None


def test_a_folder_where_a_file_should_be(tmp_path: Path) -> None:
    (tmp_path / ".git" / "HEAD").mkdir(parents=True)
    assert git_state(tmp_path) is None


@pytest.mark.parametrize("text", ["gitdir: .", "gitdir:", "gitdir: /dev/zero", "x", "gitdir: \0"])
def test_a_hostile_pointer(tmp_path: Path, text: str) -> None:
    (tmp_path / ".git").write_text(text)
    assert git_state(tmp_path) is None


def test_a_config_of_blank_lines_takes_no_time(tmp_path: Path) -> None:
    config = '[remote "o"]\n' + "\n \t\n" * 10_000
    folder = fake(tmp_path, HEAD=COMMIT, config=config)
    began = time.perf_counter()
    assert git_state(folder) == GitState(COMMIT, "", "")
    assert time.perf_counter() - began < 1


# -- tags


def test_tags_of_a_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = fake(tmp_path, HEAD=COMMIT) / "train.py"
    script.write_text("")
    monkeypatch.setattr("sys.argv", [str(script), "--password=hunter22"])
    monkeypatch.setenv("MLFLOW_PROJECT_ENTRY_POINT", "main")
    assert source_tags("me") == {
        "mlflow.user": "me",
        "mlflow.source.name": str(script),
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": COMMIT,
        "mlflow.project.entryPoint": "main",
    }


def test_tags_of_a_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = fake(tmp_path, HEAD=COMMIT) / "a.ipynb"
    path.write_text("{}")
    monkeypatch.setattr("nbtrack.provenance.source.notebook", [str(path)])
    tags = source_tags("me")
    assert tags["mlflow.source.type"] == "NOTEBOOK"
    assert tags["mlflow.source.name"] == str(path)
    assert tags["mlflow.source.git.commit"] == COMMIT


def test_tags_of_a_console(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", [""])
    assert source_tags("me")["mlflow.source.name"] == "<console>"
    assert "mlflow.source.git.commit" not in source_tags("me")
