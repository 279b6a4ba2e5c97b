"""`relay check` as the service's user: root opens everything, and that proves nothing."""

import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from fakes.certificates import Authority
from fakes.relay_process import Finished, RelayProcess
from typer.testing import CliRunner

from relay.cli import service_user
from relay.cli.app import app
from relay.config.model import Config
from relay.spool.vault import FileVault, tokens_file
from relay.spool.vault_entry import Grant

if sys.platform != "win32":
    import pwd

pytestmark = pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() != 0, reason="only root can become another user"
)
USER = "nobody"


class Office:
    """A relay whose spool belongs to nobody, below a directory that everybody may enter."""

    def __init__(self, directory: Path, authority: Authority) -> None:
        self.directory = directory
        self.authority = authority
        self.state = directory / "state"
        self.state.mkdir(mode=0o700)
        give(self.state)
        self.ca_file = directory / "ca.pem"
        self.ca_file.write_bytes(authority.ca_file.read_bytes())
        self.relay = RelayProcess(directory)
        self.relay.spool = self.state / "spool.db"
        self.secret = self.relay.add_smarthost(2525, self.ca_file)
        give(self.secret)

    def check(self, *arguments: str) -> Finished:
        self.relay.write_config()
        return self.relay.run("check", "--json", *arguments)

    def findings(self, *arguments: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.check(*arguments).json["findings"]
        return [finding for finding in found if finding["id"] == "service-user"]

    def here(self, *arguments: str) -> Any:
        """The same in this process."""
        config = str(self.relay.write_config())
        return CliRunner().invoke(app, ["check", "--json", *arguments, "--config", config])

    def findings_here(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.here().stdout)["findings"]
        return [finding for finding in found if finding["id"] == "service-user"]

    def remedies(self) -> list[str]:
        return [step for finding in self.findings() for step in finding["remedy"]]


def give(path: Path, name: str = USER) -> None:
    entry = pwd.getpwnam(name)
    os.chown(path, entry.pw_uid, entry.pw_gid)


@pytest.fixture
def office(authority: Authority) -> Iterator[Office]:
    # pytest's own directories let nobody else in.
    with TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield Office(Path(directory), authority)


def test_the_owner_of_the_spool_can_open_everything(office: Office) -> None:
    done = office.check()
    (finding,) = [each for each in done.json["findings"] if each["id"] == "service-user"]
    assert (done.code, finding["severity"]) == (0, "ok"), finding
    assert USER in finding["detail"]
    assert finding["evidence"]["user"] == USER


def test_a_secret_of_root_is_no_good_to_the_service(office: Office) -> None:
    os.chown(office.secret, 0, 0)
    done = office.check()
    (finding,) = [each for each in done.json["findings"] if each["id"] == "service-user"]
    assert (done.code, finding["severity"]) == (1, "error")
    assert finding["remedy"] == [f"chown {USER} {office.secret} && chmod 600 {office.secret}"]
    assert finding["evidence"]["key"] == "smarthost[0].password"


def test_a_directory_that_is_shut_is_named_itself(office: Office) -> None:
    shut = office.directory / "geheimen"
    shut.mkdir(mode=0o700)
    moved = shut / "isp.secret"
    office.secret.rename(moved)
    office.relay.tables = office.relay.tables.replace(str(office.secret), str(moved))
    (remedy,) = office.remedies()
    assert remedy.endswith(f"{shut} && chmod g+x {shut}")
    shut.chmod(0o711)
    assert office.remedies() == []


def test_the_private_key_is_tried_and_not_only_the_certificate(office: Office) -> None:
    issued = office.authority.issue()
    certificate, key = office.directory / "own.pem", office.directory / "own.key"
    certificate.write_bytes(issued.chain.read_bytes())
    key.write_bytes(issued.key.read_bytes())
    key.chmod(0o600)
    office.relay.listener = f'tls = "starttls"\ncertificate = "{certificate}"\nkey = "{key}"'
    (remedy,) = office.remedies()
    assert remedy.endswith(f"{key} && chmod g+r {key}")


def test_a_ca_file_is_tried(office: Office) -> None:
    office.ca_file.chmod(0o600)
    (remedy,) = office.remedies()
    assert remedy.endswith(f"{office.ca_file} && chmod g+r {office.ca_file}")


def test_the_configuration_itself_is_tried(office: Office) -> None:
    office.relay.write_config()
    office.relay.config.chmod(0o600)
    (remedy,) = office.remedies()
    assert str(office.relay.config) in remedy


def test_a_spool_file_that_root_left_behind(office: Office) -> None:
    left = office.state / "spool.db.tokens"
    left.touch(0o600)
    assert office.remedies() == [f"chown {USER} {left}"]


def test_the_spool_of_another_user(office: Office) -> None:
    (remedy,) = [
        step
        for finding in office.findings("--user", "daemon")
        for step in finding["remedy"]
        if "state" in step
    ]
    assert remedy == f"chown daemon {office.state}"


def test_what_only_the_service_has_is_said(office: Office) -> None:
    office.relay.tables = office.relay.tables.replace(
        f'{{ file = "{office.secret}" }}', '{ env = "PATH" }'
    )
    told, good = office.findings()
    assert (told["severity"], good["severity"]) == ("info", "ok")
    assert told["evidence"]["path"] == "PATH"


def test_a_user_of_systemd_s_making_gets_what_its_unit_loads(office: Office) -> None:
    os.chown(office.state, 61_200, 61_200)
    os.chown(office.secret, 0, 0)
    (finding,) = [each for each in office.findings() if "path" in each["evidence"]]
    assert (finding["severity"], finding["evidence"]["path"]) == ("info", str(office.secret))
    # Everybody may read what holds no secret, and nobody can give this user a file.
    office.relay.config.chmod(0o600)
    remedies = [step for finding in office.findings_here() for step in finding["remedy"]]
    assert remedies == [f"chmod a+rX {office.relay.config}"]


def test_an_unknown_user_is_exit_2(office: Office) -> None:
    done = office.check("--user", "piet-van-de-bakkerij")
    assert (done.code, done.out) == (2, "")
    assert "piet-van-de-bakkerij" in done.err


def test_before_the_first_start_nobody_knows_the_user(office: Office) -> None:
    office.relay.spool = office.directory / "nieuw" / "spool.db"
    (finding,) = office.findings()
    assert finding["severity"] == "info"
    assert "--user" in finding["remedy"][0]


def test_somebody_else_cannot_tell(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: pwd.getpwnam("daemon").pw_uid)
    (finding,) = office.findings_here()
    assert (finding["severity"], finding["evidence"]["user"]) == ("unknown", USER)
    assert office.here("--user", USER).exit_code == 2


def test_a_child_that_dies_proves_nothing(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(config: Config) -> list[dict[str, Any]]:
        raise MemoryError

    monkeypatch.setattr(service_user, "try_all", broken)
    (finding,) = office.findings_here()
    assert finding["severity"] == "unknown"


async def test_tokens_that_root_keeps_belong_to_the_service(office: Office) -> None:
    now = datetime(2026, 11, 21, 12, tzinfo=UTC)
    vault = FileVault(tokens_file(office.relay.spool))
    await vault.keep("smtp.example.net", "bakker", Grant("refresh", None, None, now, now))
    assert vault.path.owner() == USER
    assert vault.path.stat().st_mode & 0o777 == 0o600
    assert office.remedies() == []
