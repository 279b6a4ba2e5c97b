"""Which process this is, among all that may share a spool: host, boot and process id."""

import os
import secrets
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Node:
    """A process that may serve. `nonce` tells it from one that had its process id before: the only
    process of a container always has the same."""

    host: str
    boot_id: str
    pid: int
    nonce: str

    @property
    def id(self) -> str:
        """One text, never the same for two processes."""
        return f"{self.host}/{self.boot_id}/{self.pid}/{self.nonce}"


@cache
def boot_id() -> str:
    """Differs after each start of this machine; "0" where the system does not tell."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return "0"


def new_node() -> Node:
    """This process, by a name that nothing had before."""
    return Node(socket.gethostname(), boot_id(), os.getpid(), secrets.token_hex(4))


@cache
def this_node() -> Node:
    """This process; the same each time."""
    return new_node()


def node_name() -> str:
    """The id of this process; no other ever has the same."""
    return this_node().id
