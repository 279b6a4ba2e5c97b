"""The unit of systemd: accepted by systemd's own examiner, as shut in as we say, and enough to live in."""

import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.certificates import Authority
from fakes.peers import needs, program
from fakes.relay_process import RelayProcess
from fakes.smarthost import Behaviour, Smarthost
from typer.testing import CliRunner

from relay.cli.app import app
from relay.config.credentials import credential_name, readable
from relay.packaging import UNIT, packaged
from relay.packaging.unit import Installation, hidden
from relay.service import STOP_SECONDS

MOST_EXPOSED = 2.0
SMARTHOST = '[[smarthost]]\nname = "isp"\nhost = "127.0.0.1"\nport = 9\ntls = "none"'


def unit_of(directory: Path, text: str, *options: str) -> str:
    config = directory / "relay.toml"
    config.write_text(f'language = "en"\nhostname = "relay.example"\n{text}')
    config.chmod(0o644)
    shown = CliRunner().invoke(app, ["service", "unit", "--config", str(config), *options])
    assert shown.exit_code == 0, shown.output
    return shown.stdout


def values(unit: str, name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", unit, re.MULTILINE)


def relay_program(directory: Path) -> Path:
    """Something that systemd sees it can execute."""
    made = directory / "relay"
    made.write_text("#!/bin/sh\n")
    made.chmod(0o755)
    return made


LOW = '[[listener]]\naddress = "127.0.0.1:25"\n'
CASES = {
    "default": (SMARTHOST, ()),
    "port 25": (LOW + SMARTHOST, ()),
    "own user": (SMARTHOST, ("--user", "daemon")),
    "spool elsewhere": (
        f'[spool]\nurl = "sqlite:///srv/mail box/spool.db"\n{SMARTHOST}',
        ("--user", "daemon"),
    ),
}


@needs("systemd-analyze")
@pytest.mark.parametrize("case", CASES)
def test_systemd_finds_no_fault_and_little_exposure(tmp_path: Path, case: str) -> None:
    text, options = CASES[case]
    unit = tmp_path / UNIT
    unit.write_text(unit_of(tmp_path, text, *options, "--program", str(relay_program(tmp_path))))
    analyze = program("systemd-analyze")
    verified = subprocess.run(
        [analyze, "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=60
    )
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")
    rated = subprocess.run(
        [analyze, "security", "--offline=true", "--no-pager", str(unit)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", rated.stdout)
    assert level is not None, rated.stderr
    assert float(level[1]) <= MOST_EXPOSED


def test_only_a_port_that_is_root_s_brings_a_capability(tmp_path: Path) -> None:
    plain, low = unit_of(tmp_path, SMARTHOST), unit_of(tmp_path, LOW + SMARTHOST)
    assert values(plain, "AmbientCapabilities") == []
    assert values(plain, "CapabilityBoundingSet") == [""]
    assert values(plain, "PrivateUsers") == ["yes"]
    assert values(low, "AmbientCapabilities") == ["CAP_NET_BIND_SERVICE"]
    assert values(low, "CapabilityBoundingSet") == ["CAP_NET_BIND_SERVICE"]
    # A user namespace would take the capability away from the machine's own network.
    assert values(low, "PrivateUsers") == []


def test_it_may_stop_as_long_as_the_relay_takes(tmp_path: Path) -> None:
    unit = unit_of(tmp_path, SMARTHOST)
    assert int(values(unit, "TimeoutStopSec")[0]) >= 2 * STOP_SECONDS
    assert values(unit, "Type") == ["notify"]
    assert values(unit, "ExecReload") == ["/bin/kill -HUP $MAINPID"]
    assert int(values(unit, "WatchdogSec")[0]) >= 30


def test_the_spool_s_place_is_the_service_s_own(tmp_path: Path) -> None:
    elsewhere = '[spool]\nurl = "sqlite:///srv/mail/spool.db"\n' + SMARTHOST
    inside = '[spool]\nurl = "sqlite:///var/lib/post/box/spool.db"\n' + SMARTHOST
    assert values(unit_of(tmp_path, inside), "StateDirectory") == ["post/box"]
    assert values(unit_of(tmp_path, SMARTHOST), "User") == ["relay"]
    unit = unit_of(tmp_path, elsewhere, "--user", "daemon")
    assert values(unit, "ReadWritePaths") == ["/srv/mail"]
    spaced = elsewhere.replace("/srv/mail", "/srv/mail box/100%")
    unit = unit_of(tmp_path, spaced, "--user", "daemon")
    assert values(unit, "ReadWritePaths") == ['"/srv/mail box/100%%"']
    assert values(unit, "StateDirectory") == []
    assert (values(unit, "User"), values(unit, "DynamicUser")) == (["daemon"], [])
    given = ["service", "unit", "--config", str(tmp_path / "relay.toml")]
    refused = CliRunner().invoke(app, given)
    assert refused.exit_code == 2
    assert "--user" in refused.stderr


def test_a_path_with_signs_of_systemd_s_own_stands_for_itself(tmp_path: Path) -> None:
    odd = tmp_path / "100% $HOME"
    odd.mkdir()
    unit = unit_of(odd, SMARTHOST, "--program", str(relay_program(odd)))
    start = values(unit, "ExecStart")[0].replace("%%", "%").replace("$$", "$")
    assert shlex.split(start) == [
        *(str(odd / "relay"), "serve", "--config"),
        str(odd / "relay.toml"),
    ]
    assert "%" not in values(unit, "ExecStart")[0].replace("%%", "")


def test_what_would_keep_it_from_starting_is_told(tmp_path: Path) -> None:
    config = tmp_path / "relay.toml"
    config.write_text(f'language = "en"\n{SMARTHOST}')
    config.chmod(0o600)
    given = ["service", "unit", "--config", str(config), "--program", str(tmp_path / "none")]
    shown = CliRunner().invoke(app, given)
    assert shown.exit_code == 0
    assert f"{tmp_path / 'none'} does not exist" in shown.stderr
    assert f"chmod a+rX {config}" in shown.stderr.replace(f"{tmp_path} ", "")
    assert "chmod" not in CliRunner().invoke(app, [*given, "--user", "daemon"]).stderr
    assert hidden(Path("/home/jan/relay"), Path("/opt/relay")) == [Path("/home/jan/relay")]


def test_without_a_configuration_there_is_no_unit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The sandbox is no service.
    for name in ("RELAY_CONFIG", "CONFIGURATION_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NOTIFY_SOCKET", "/nobody")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    shown = CliRunner().invoke(app, ["service", "unit"])
    if not Path("/etc/relay/relay.toml").exists():
        assert (shown.exit_code, shown.stdout) == (2, "")


def test_the_packaged_unit_has_no_mark_that_is_not_filled_in(tmp_path: Path) -> None:
    marks = set(re.findall(r"@([A-Z]+)@", packaged(UNIT)))
    assert marks == {"EXEC", "USER", "STATE", "CREDENTIALS", "PORTS"}
    assert not re.search(r"@[A-Z]+@", unit_of(tmp_path, SMARTHOST))
    assert Installation(Path("/opt/relay/bin/relay")).user is None


# Credentials.


def loaded(unit: str) -> dict[str, Path]:
    """What LoadCredential= names, by the name that the service finds it under."""
    pairs = (value.partition(":") for value in values(unit, "LoadCredential"))
    return {name: Path(path.replace("%%", "%")) for name, _, path in pairs}


def test_each_path_has_a_name_of_its_own() -> None:
    paths = ["/etc/a/b", "/etc/a-b", "/etc/a_2db", "/etc/a b", "/etc/é", "/a/-b", "/a-/b", "/b/a"]
    names = {credential_name(Path(path)) for path in paths}
    assert len(names) == len(paths)
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", name) for name in names)


def test_every_secret_and_key_of_the_configuration_is_loaded(
    tmp_path: Path, authority: Authority
) -> None:
    pair = authority.issue()
    for name in ("isp", "hash", "key"):
        (tmp_path / name).write_text("secret\n")
        (tmp_path / name).chmod(0o600)
    text = f"""
[spool]
secret_key = {{ file = "key" }}
[[listener]]
address = "127.0.0.1:2525"
tls = "starttls"
certificate = "{pair.chain}"
key = "{pair.key}"
[[smarthost]]
name = "isp"
host = "smtp.example.net"
ca_file = "{authority.ca_file}"
username = "bakker"
password = {{ file = "isp" }}
[[smarthost]]
name = "other"
host = "smtp.example.org"
username = "bakker"
password = {{ credential = "other" }}
[[smarthost]]
name = "third"
host = "smtp.example.com"
username = "bakker"
password = {{ env = "THIRD" }}
"""
    unit = unit_of(tmp_path, text)
    named = [tmp_path / "isp", tmp_path / "key", pair.chain, pair.key, authority.ca_file]
    expected = {credential_name(path): path for path in named}
    assert loaded(unit) == {**expected, "other": Path("/etc/credstore/other")}
    assert "# env = THIRD" in unit


def test_the_file_counts_where_it_can_be_read_and_else_what_systemd_loaded(tmp_path: Path) -> None:
    file, store = tmp_path / "isp", tmp_path / "credentials"
    store.mkdir()
    environ = {"CREDENTIALS_DIRECTORY": str(store)}
    copy = store / credential_name(file)
    assert readable(file, environ) == file
    copy.write_text("old\n")
    assert readable(file, environ) == copy
    assert readable(file, {}) == file
    file.write_text("new\n")
    assert readable(file, environ) == file


class LoadedRelay(RelayProcess):
    """A relay whose files only systemd can read: it gets them as the unit says, and no other way."""

    def load_credentials(self) -> None:
        store = self.directory / "credentials"
        store.mkdir()
        for name, path in loaded(self.run("service", "unit", "--user", "daemon").out).items():
            shutil.copy(path, store / name)
            path.rename(path.with_name(path.name + ".away"))
        self.environment["CREDENTIALS_DIRECTORY"] = str(store)


def test_the_relay_serves_with_nothing_but_what_the_unit_loads(
    tmp_path: Path, authority: Authority
) -> None:
    pair = authority.issue()
    certificate = tmp_path / "server.pem"
    certificate.write_bytes(pair.chain.read_bytes() + pair.key.read_bytes())
    certificate.chmod(0o600)
    behaviour = Behaviour(tls="starttls", context=pair.server_context(), users={"bakker": "geheim"})
    with Smarthost(behaviour) as smarthost:
        relay = LoadedRelay(tmp_path, listener=f'tls = "starttls"\ncertificate = "{certificate}"')
        own_ca = tmp_path / "ca.pem"
        own_ca.write_bytes(authority.ca_file.read_bytes())
        relay.add_smarthost(smarthost.port, own_ca)
        relay.write_config()
        relay.load_credentials()
        with relay:
            with relay.connect() as client:
                client.reply()
                assert "STARTTLS" in client.command("EHLO kassa")
            relay.send("bakker@example.net", ["klant@example.net"], b"Subject: x\r\n\r\nx\r\n")
            smarthost.wait_for(1)


# What the sandbox around it lets through.


def allowed_calls(unit: str) -> set[str]:
    """The system calls that the unit's filters leave."""
    calls: set[str] = set()
    for setting in values(unit, "SystemCallFilter"):
        names = set(members(setting.lstrip("~").split()))
        calls = calls - names if setting.startswith("~") else calls | names
    # systemd adds what no program can do without.
    return calls | set(members(["@default"]))


def members(groups: list[str]) -> Iterator[str]:
    for group in groups:
        shown = subprocess.run(
            [program("systemd-analyze"), "syscall-filter", "--no-pager", group],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        ).stdout
        words = [line.strip() for line in shown.splitlines()[1:]]
        yield from (word for word in words if word and word[0] not in "#@")
        yield from members([word for word in words if word.startswith("@")])


class Traced(RelayProcess):
    """`relay serve` with each of its system calls noted."""

    def program(self, command: str) -> tuple[str, ...]:
        if command != "serve":
            return super().program(command)
        options = ["-D", "-f", "-o", str(self.directory / "trace")]
        words = [program("strace"), *options, sys.executable, "-m", "relay"]
        return "-c", f"import os, sys; words = {words!r}; os.execv(words[0], words + sys.argv[1:])"


@needs("systemd-analyze", "strace")
def test_a_working_relay_stays_within_what_the_unit_allows(tmp_path: Path) -> None:
    with Smarthost() as smarthost:
        relay = Traced(
            tmp_path,
            f'[[smarthost]]\nname = "isp"\nhost = "127.0.0.1"\nport = {smarthost.port}\n'
            'tls = "none"\n[[alarm]]\ncommand = ["/bin/true"]',
        )
        with relay:
            relay.send("bakker@example.net", ["klant@example.net"], b"Subject: x\r\n\r\nx\r\n")
            smarthost.wait_for(1)
            assert relay.run("alarm", "test").code == 0
            assert relay.run("status").code == 0
            relay.hup()
            relay.wait_for_event("reloaded")
            unit = relay.run("service", "unit", "--user", "daemon").out
            assert relay._process is not None
            end = re.compile(rf"^{relay._process.pid} +\+\+\+ exited with 0", re.MULTILINE)
            assert relay.sigterm() == 0
            relay.wait_until(lambda: end.search(trace(tmp_path)) is not None)
        text = trace(tmp_path)
    used = set(re.findall(r"^\d+ +([a-z0-9_]+)\(", text, re.MULTILINE))
    assert {"accept4", "fdatasync", "execve", "prlimit64"} <= used, "it was seen at work"
    # Where root runs SQLite it gives its files to the owner of the spool; the service is not root.
    assert used - allowed_calls(unit) - {"fchown"} == set()
    assert not re.search(r"PROT_WRITE\|PROT_EXEC|PROT_EXEC\|PROT_WRITE", text)
    families = set(re.findall(r"socket\(AF_(\w+)", text))
    assert families <= {"INET", "INET6", "UNIX", "NETLINK"}


def trace(directory: Path) -> str:
    return (directory / "trace").read_text(errors="replace")


def test_sigabrt_of_the_watchdog_shows_where_the_relay_stood(tmp_path: Path) -> None:
    with RelayProcess(tmp_path, SMARTHOST) as relay:
        process = relay._process
        assert process is not None
        process.send_signal(signal.SIGABRT)
        assert relay.wait_for_exit() == -signal.SIGABRT
    assert "Fatal Python error: Aborted" in relay.stderr
