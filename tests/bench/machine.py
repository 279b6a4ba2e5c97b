"""The machine of a run, as far as it explains the figures; nothing that names it."""

import os
import platform
import sqlite3
import ssl
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

from bench.postfix_relay import postfix_version


def describe(directory: Path) -> dict[str, Any]:
    """`directory` is where spool and queue are."""
    return {
        "processor": _processor(),
        "processors": os.cpu_count(),
        "memory_gigabytes": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "kernel": f"{platform.system()} {platform.release().partition('-')[0]}",
        "filesystem": _filesystem(directory),
        "sync_milliseconds": _sync_milliseconds(directory),
        "python": platform.python_version(),
        "uvloop": _version("uvloop"),
        "sqlite": sqlite3.sqlite_version,
        "openssl": ssl.OPENSSL_VERSION,
        "postfix": postfix_version(),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _filesystem(directory: Path) -> str:
    device = directory.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        mount, _, source = line.partition(" - ")
        if mount.split()[2] == wanted:
            return source.split()[0]
    return "unknown"


def _sync_milliseconds(directory: Path) -> float:
    """The median time to append 4 kB to a file and sync it: what the disk allows."""
    times = []
    with (directory / "synced").open("ab", buffering=0) as file:
        for _ in range(200):
            began = time.perf_counter()
            file.write(b"x" * 4096)
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - began)
    return round(median(times) * 1000, 3)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
