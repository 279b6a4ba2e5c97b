"""Programs of other makers that some tests talk to, and what to do where one is missing."""

import os
import shutil
from pathlib import Path

import pytest

# Program to look for, and the Debian package that brings it.
_PEERS = {
    "postfix": ("postfix", "postfix"),
    "postconf": ("postconf", "postfix"),
    "smtp-source": ("smtp-source", "postfix"),
    "saslpasswd2": ("saslpasswd2", "sasl2-bin"),
    "sasl-plain": ("libplain.so", "libsasl2-modules"),
    "swaks": ("swaks", "swaks"),
    "curl": ("curl", "curl"),
    "msmtp": ("msmtp", "msmtp"),
    "s-nail": ("s-nail", "s-nail"),
    "nsd": ("nsd", "nsd"),
    "haproxy": ("haproxy", "haproxy"),
    "mail-dkim": ("dkimproxy-verify", "libmail-dkim-perl"),
    "cc": ("cc", "gcc"),
    "strace": ("strace", "strace"),
    "systemd-analyze": ("systemd-analyze", "systemd"),
    "mount": ("mount", "mount"),
    "mandoc": ("mandoc", "mandoc"),
    "zsh": ("zsh", "zsh"),
    "fish": ("fish", "fish"),
    "chromium": ("chromium", "chromium"),
    "postgres": ("postgres", "postgresql-15"),
    "pgbouncer": ("pgbouncer", "pgbouncer"),
}
# Debian keeps each PostgreSQL's programs together.
_CLUSTERS = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")))
_FOLDERS = os.pathsep.join(
    [os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin", *_CLUSTERS]
)


SKIPPED = "peer missing"
"""The property of a test that was skipped for that reason, for the summary of the run."""


def needs(*peers: str) -> pytest.MarkDecorator:
    """Marks a test (or a module, as `pytestmark`) that talks to these peers."""
    unknown = set(peers) - set(_PEERS)
    if unknown:
        raise ValueError(f"no such peer: {', '.join(sorted(unknown))}")
    return pytest.mark.needs(*peers)


def program(peer: str) -> str:
    """The path of the peer's program; call it only in a test that `needs` the peer.

    Raises FileNotFoundError naming the package to install.
    """
    name, package = _PEERS[peer]
    found = shutil.which(name, path=_FOLDERS) or _sasl_plugin(name)
    if found is None:
        raise FileNotFoundError(f"{name} is missing: apt-get install {package}")
    return found


def missing(peers: tuple[str, ...]) -> str | None:
    """Why a test that needs `peers` cannot run here, with the cure; None when it can."""
    packages: list[str] = []
    for peer in peers:
        try:
            program(peer)
        except FileNotFoundError:
            packages.append(_PEERS[peer][1])
    if packages:
        return f"missing here: apt-get install {' '.join(packages)}"
    if "postfix" in peers and os.geteuid() != 0:
        return "Postfix's master starts as root only: run the tests as root"
    if "mount" in peers and os.geteuid() != 0:
        return "only root mounts a small disk: run the tests as root"
    return None


def skip_or_fail(test: pytest.Item, reason: str) -> None:
    """Skips the running test; where CI=true, fails it: CI installs every peer."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    test.user_properties.append((SKIPPED, reason))
    pytest.skip(reason)


def _sasl_plugin(name: str) -> str | None:
    if not name.endswith(".so"):
        return None
    folders = [*Path("/usr/lib").glob("*/sasl2"), Path("/usr/lib/sasl2")]
    return next((str(folder / name) for folder in folders if (folder / name).exists()), None)
