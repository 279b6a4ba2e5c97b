"""Whether a spool would be lost with the container that the relay runs in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_IN_MEMORY = frozenset({"tmpfs", "ramfs"})
_LAYERS = frozenset({"overlay", "aufs", "fuse.fuse-overlayfs", "overlayfs"})
_APPLICATION = frozenset({"docker", "podman", "oci", "containerd"})
"""Values of `$container` for containers of one program. One of a whole system (lxc,
systemd-nspawn) keeps its root."""
_EMPTY_DIR = "kubernetes.io~empty-dir"


@dataclass(frozen=True, slots=True)
class Mount:
    """A line of /proc/self/mountinfo: what is mounted where, `root` being the part of it."""

    root: str
    point: Path
    kind: str


def mounts(mountinfo: str) -> list[Mount]:
    """The mounts of a process, as proc(5) describes them; later ones cover earlier ones."""
    found: list[Mount] = []
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split()
        if len(fields) >= 5 and after:
            found.append(Mount(_plain(fields[3]), Path(_plain(fields[4])), after.split()[0]))
    return found


def _plain(text: str) -> str:
    """Blanks and the like stand there as three octal digits."""
    return re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), text)


def in_container(environ: Mapping[str, str], root: Path = Path("/")) -> bool:
    """This process runs in the container of one program: Docker's, Podman's, Kubernetes'."""
    marks = (root / ".dockerenv", root / "run/.containerenv")
    return (
        environ.get("container") in _APPLICATION
        or "KUBERNETES_SERVICE_HOST" in environ
        or any(mark.exists() for mark in marks)
    )


def is_ephemeral(directory: Path, mountinfo: str) -> bool:
    """What is written to `directory` goes with the container: to its own layer, or to memory.

    False where it cannot be told. A volume without a name counts as lasting, though `--rm` would
    remove it.
    """
    covering = [each for each in mounts(mountinfo) if directory.is_relative_to(each.point)]
    if not covering:
        return False
    # The longest; of several at one point the last.
    mount = max(enumerate(covering), key=lambda pair: (len(pair[1].point.parts), pair[0]))[1]
    own_layer = mount.kind in _LAYERS or (mount.point == Path("/") and mount.root != "/")
    return mount.kind in _IN_MEMORY or own_layer or _EMPTY_DIR in mount.root


def loses_mail(spool: Path, environ: Mapping[str, str]) -> bool:
    """A container would take the spool with it; False outside of one, and where nobody can tell."""
    if not in_container(environ):
        return False
    try:
        mountinfo = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return is_ephemeral(spool.parent.resolve(), mountinfo)
