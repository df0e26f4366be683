"""Which process this is, and whether another one still lives."""

from __future__ import annotations

import getpass
import os
import platform
import socket
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

HEARTBEAT_STALE_S = 60.0


@dataclass(frozen=True, slots=True)
class ThisProcess:
    """Identity of a process that stays unique after it has gone.

    ``machine`` names the boot and the pid namespace: where ``pid`` and ``process_start`` mean
    something. Containers on one host have machines of their own.
    """

    user_id: str
    host: str
    machine: str
    pid: int
    process_start: str


def this_process() -> ThisProcess:
    """Return the identity of the calling process."""
    pid = os.getpid()
    return ThisProcess(_user(), socket.gethostname(), _machine(), pid, _start(pid) or "")


def is_alive(machine: str, pid: int, process_start: str, heartbeat_ms: int) -> bool:
    """Return whether a process that wrote this identity is still there.

    On another machine, or where the system does not tell, its last sign of life decides: it may
    be `HEARTBEAT_STALE_S` old.
    """
    if machine == _machine() and process_start:
        return _start(pid) == process_start
    return time.time() - heartbeat_ms / 1000 < HEARTBEAT_STALE_S


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's uid may have no name
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"


@lru_cache(maxsize=1)
def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return f"{platform.system()}/{socket.gethostname()}"


def _start(pid: int) -> str | None:
    """Return when a process began, in the system's own unit; None if it is gone or not told."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in {"Z", "X"} else fields[19]
