"""Which commit the code is at, read from the files of git: no process, no library, no hooks.

A folder can come from anywhere, so nothing in its ``.git`` is trusted: only ordinary files of a
bounded size are read, names of branches lead nowhere else, and what is returned looks like what it
should be or is left out.
"""

from __future__ import annotations

import os
import re
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from nbtrack.provenance.redaction import redact

_FRESH_S = 5.0  # a loop of short runs looks once; a commit in between is seen soon
_SMALL = 64 * 2**10
_PACKED = 16 * 2**20  # packed-refs of a repository with a hundred thousand branches
_MAX_DEPTH = 64
_MAX_URL = 500

_HASH = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_REF = re.compile(r"refs/(?!.*\.\.)[\w./@+#=-]{1,250}")
_USERINFO = re.compile(r"^([a-z+]{1,20}://)[^/?#]*@(?=[^/?#]*)")  # a token may be all of it
_REMOTE = re.compile(r'\[remote\s+"[^"]+"\]')


@dataclass(frozen=True, slots=True)
class GitState:
    """Where a working tree is: empty texts for what is not known."""

    commit: str
    branch: str
    url: str


_seen: dict[str, tuple[float, GitState | None]] = {}


def git_state(folder: Path) -> GitState | None:
    """Return the commit, branch and origin of the repository that a folder is in, or None.

    It is looked up at most every few seconds. Passwords in the URL are masked.

    Examples
    --------
    >>> import tempfile
    >>> git_state(Path(tempfile.mkdtemp())) is None
    True
    """
    now, key = time.monotonic(), str(folder)
    found = _seen.get(key)
    if found is None or now - found[0] > _FRESH_S:
        try:
            state = _look(folder)
        except (OSError, ValueError, UnicodeError):  # no right to read it, a name with a NUL
            state = None
        _seen[key] = found = (now, state)
    return found[1]


def _look(folder: Path) -> GitState | None:
    own = _git_folder(folder)
    if own is None:
        return None
    shared = _pointer(own, "commondir", "") or own  # a linked worktree keeps only its HEAD
    head = _read(own / "HEAD", _SMALL).strip()
    ref = head.removeprefix("ref:").strip() if head.startswith("ref:") else ""
    if ref and not _REF.fullmatch(ref):
        return None
    commit = _commit(own, shared, ref) if ref else head
    if not _HASH.fullmatch(commit):
        return None
    branch = ref.removeprefix("refs/heads/") if ref.startswith("refs/heads/") else ""
    return GitState(commit, branch, _url(_read(shared / "config", _SMALL)))


def _git_folder(folder: Path) -> Path | None:
    """Return the folder that git keeps for the working tree around a folder."""
    for place in [folder, *folder.parents][:_MAX_DEPTH]:
        dotgit = place / ".git"
        try:
            mode = dotgit.stat().st_mode
        except (OSError, ValueError):
            continue
        if stat.S_ISDIR(mode):
            return dotgit
        return _pointer(place, ".git", "gitdir:")  # a worktree, a submodule
    return None


def _pointer(folder: Path, name: str, prefix: str) -> Path | None:
    """Return the folder that a file names."""
    text = _read(folder / name, _SMALL).strip()
    if not text.startswith(prefix) or text == prefix:
        return None
    return Path(os.path.normpath(folder / text.removeprefix(prefix).strip()))


def _commit(own: Path, shared: Path, ref: str) -> str:
    for place in dict.fromkeys((own, shared)):
        loose = _read(place / ref, _SMALL).strip()
        if loose:
            return loose
    packed = _read(shared / "packed-refs", _PACKED)
    end = packed.find(f" {ref}\n")
    return packed[packed.rfind("\n", 0, end) + 1 : end] if end >= 0 else ""


def _url(config: str) -> str:
    """Return the URL of the first remote that has one, without its secrets."""
    in_remote = False
    for line in config.splitlines():
        text = line.strip()
        if text.startswith("["):
            in_remote = _REMOTE.match(text) is not None
        key, _, value = text.partition("=")
        if in_remote and key.strip().lower() == "url" and value.strip():
            return redact(_USERINFO.sub(r"\1", value.strip()[:_MAX_URL]))
    return ""


def _read(path: Path, most: int) -> str:
    """Return the text of a file; empty if it is none, not an ordinary one, or too large."""
    try:
        # Without O_NONBLOCK a pipe that nobody writes to would be waited for.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except (OSError, ValueError):
        return ""
    with os.fdopen(handle, "rb") as file:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode) or about.st_size > most:
            return ""
        return file.read(most).decode("utf-8", "replace")
