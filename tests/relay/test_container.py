"""In a container: the image as we say it is, and no start where the spool would go with it."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from fakes.relay_process import RelayProcess

from relay.packaging import CONTAINERFILE, packaged
from relay.service import STOP_SECONDS
from relay.spool.ephemeral import in_container, is_ephemeral, mounts

ROOT = Path(__file__).resolve().parents[2]
SMARTHOST = '[[smarthost]]\nname = "isp"\nhost = "127.0.0.1"\nport = 9\ntls = "none"'

OVERLAY = "1000 900 0:50 / / rw,relatime master:1 - overlay overlay rw,lowerdir=/l,upperdir=/u"
VOLUME = "1010 1000 254:1 /docker/volumes/spool/_data /var/lib/relay rw - ext4 /dev/sda1 rw"
TMPFS = "1011 1000 0:60 / /var/lib/relay rw,nosuid - tmpfs tmpfs rw"
DISK = "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw"
BTRFS_LAYER = "27 1 0:30 /docker/btrfs/subvolumes/4f / rw - btrfs /dev/sda rw"
EMPTY_DIR = (
    "1012 1000 8:1 /kubelet/pods/1f/volumes/kubernetes.io~empty-dir/spool /var/lib/relay rw "
    "- ext4 /dev/sda1 rw"
)
SPACED = r"1013 1000 254:1 /v /var/lib/my\040relay rw - ext4 /dev/sda1 rw"


@pytest.mark.parametrize(
    ("directory", "lines", "lost"),
    [
        ("/var/lib/relay", [OVERLAY], True),
        ("/var/lib/relay", [OVERLAY, VOLUME], False),
        ("/var/lib/relay/deeper", [OVERLAY, VOLUME], False),
        ("/var/lib/relay-other", [OVERLAY, VOLUME], True),
        ("/var/lib/relay", [OVERLAY, TMPFS], True),
        ("/var/lib/relay", [OVERLAY, VOLUME, TMPFS], True),
        ("/var/lib/relay", [OVERLAY, TMPFS, VOLUME], False),
        ("/var/lib/relay", [OVERLAY, EMPTY_DIR], True),
        ("/var/lib/my relay", [OVERLAY, SPACED], False),
        ("/var/lib/relay", [DISK], False),
        ("/var/lib/relay", [BTRFS_LAYER], True),
        ("/var/lib/relay", ["nonsense", ""], False),
    ],
)
def test_where_the_spool_lies(directory: str, lines: list[str], lost: bool) -> None:
    assert is_ephemeral(Path(directory), "\n".join(lines)) is lost


def test_a_container_is_known_by_its_marks(tmp_path: Path) -> None:
    assert not in_container({}, tmp_path)
    assert not in_container({"container": "lxc"}, tmp_path)
    assert in_container({"container": "podman"}, tmp_path)
    assert in_container({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, tmp_path)
    (tmp_path / ".dockerenv").touch()
    assert in_container({}, tmp_path)


@pytest.fixture
def in_memory() -> Iterator[Path]:
    """A directory that the kernel says is in memory."""
    with TemporaryDirectory(dir="/dev/shm") as directory:
        found = mounts(Path("/proc/self/mountinfo").read_text())
        assert [each.kind for each in found if each.point == Path("/dev/shm")][-1:] == ["tmpfs"]
        yield Path(directory)


def contained(directory: Path, allowed: str) -> RelayProcess:
    relay = RelayProcess(directory, SMARTHOST)
    relay.environment = {"container": "oci", "RELAY_EPHEMERAL_SPOOL": allowed}
    return relay


def test_no_start_where_mail_would_go_with_the_container(in_memory: Path) -> None:
    refused = contained(in_memory, "").serve_expecting_exit()
    assert (refused.code, refused.out) == (2, "")
    assert f"-v relay-spool:{in_memory}" in refused.err
    assert "--ephemeral-spool" in refused.err
    assert not (in_memory / "spool.db").exists()


def test_it_starts_where_that_is_said_to_be_meant(in_memory: Path, tmp_path: Path) -> None:
    with contained(in_memory, "1") as relay:
        assert relay.sigterm() == 0
    # A disk of its own needs no word.
    lasting = contained(tmp_path, "")
    mountinfo = Path("/proc/self/mountinfo").read_text()
    if not is_ephemeral(tmp_path, mountinfo):
        with lasting:
            assert lasting.sigterm() == 0


# The Containerfile.


def instructions() -> list[tuple[str, str]]:
    """Name and value of each, in order, as a builder reads them."""
    lines = [line for line in packaged(CONTAINERFILE).splitlines() if not line.startswith("#")]
    text = re.sub(r"\\\n\s*", "", "\n".join(lines))
    pairs = (line.split(maxsplit=1) for line in text.splitlines() if line.strip())
    return [(name, value) for name, value in pairs]


def last_stage() -> dict[str, str]:
    found = instructions()
    start = max(at for at, (name, _) in enumerate(found) if name == "FROM")
    return dict(found[start:])


def test_every_base_is_one_version() -> None:
    bases = [value.split()[0] for name, value in instructions() if name == "FROM"]
    assert len(bases) == 2
    for base in bases:
        assert re.fullmatch(r"docker\.io/library/python:3\.\d+\.\d+-slim-[a-z]+", base), base
    assert len(set(bases)) == 1


def test_it_runs_as_nobody_s_user_with_a_volume_for_the_spool() -> None:
    stage = last_stage()
    user, _, group = stage["USER"].partition(":")
    assert int(user) > 1000
    assert int(group) > 1000
    assert stage["VOLUME"] == "/var/lib/relay"
    assert f"-o {user} -g {group} /var/lib/relay" in " ".join(
        value for name, value in instructions() if name == "RUN"
    )
    names = [name for name, _ in instructions()]
    # What is done after VOLUME to that directory would be lost, and needs root before USER.
    assert names.index("USER") < names.index("VOLUME")
    assert "container=oci" in stage["ENV"]
    assert "STATE_DIRECTORY=/var/lib/relay" in stage["ENV"]


def test_signals_reach_the_relay_and_its_health_is_asked() -> None:
    stage = last_stage()
    # The form with brackets: a shell in between would keep SIGTERM to itself.
    assert json.loads(stage["ENTRYPOINT"]) == ["relay"]
    assert json.loads(stage["CMD"])[0] == "serve"
    assert stage["STOPSIGNAL"] == "SIGTERM"
    options, _, command = stage["HEALTHCHECK"].partition("CMD")
    words = json.loads(command)
    assert words[:2] == ["python", "-c"]
    assert "/healthz" in words[2]
    compile(words[2], "HEALTHCHECK", "exec")
    assert int(re.findall(r"--timeout=(\d+)s", options)[0]) >= STOP_SECONDS / 2


def test_what_it_copies_is_there_and_nothing_is_fetched_unchecked() -> None:
    for name, value in instructions():
        words = shlex.split(value)
        if name == "COPY" and not words[0].startswith("--from"):
            assert all((ROOT / word).exists() for word in words[:-1]), value
        assert name != "ADD"
        assert "latest" not in value
        for step in value.split("&&") if name == "RUN" else ():
            fetches = "pip install" in step or "pip wheel" in step
            offline = "--no-index" in step or "--no-build-isolation" in step
            assert not fetches or offline or "--require-hashes" in step, step


def test_the_health_check_is_answered(tmp_path: Path) -> None:
    words = json.loads(last_stage()["HEALTHCHECK"].partition("CMD")[2])
    with RelayProcess(tmp_path, SMARTHOST) as relay:
        code = words[2].replace(":8025/", f":{relay.web_port}/")
        assert code != words[2]
        healthy = subprocess.run([sys.executable, "-c", code], timeout=30, check=False)
        assert healthy.returncode == 0
        assert relay.sigterm() == 0
    gone = subprocess.run(
        [sys.executable, "-c", code], timeout=30, check=False, stderr=subprocess.DEVNULL
    )
    assert gone.returncode != 0
