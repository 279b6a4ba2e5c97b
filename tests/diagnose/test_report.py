"""`diagnose report` beside a relay that worked until its password changed."""

import datetime
import json
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme
from fakes.certificates import Authority
from fakes.examining import ENVELOPE, Examiner, findings, the_finding
from fakes.nameserver import NameServer
from fakes.relay_file import RelayFile
from fakes.relay_process import RelayProcess
from fakes.script import Behaviour
from fakes.smarthost import Smarthost

import relay
from diagnose.checks.report_history import Now, past_of
from diagnose.commands.report import report
from diagnose.relay_state import RelayState
from relay.config.model import Smarthost as Configured

PASSWORD = "CANARY-roggebrood"
NEW_PASSWORD = "CANARY-speltbrood"
SUBJECT, BODY, RECIPIENT = "CANARY-factuur", "CANARY-inhoud", "klant@example.org"
CANARIES = ("CANARY", RECIPIENT)
REFUSAL = "535 5.7.8 Authentication failed"
MESSAGE = (
    f"From: <info@mijnbakkerij.nl>\r\nTo: <{RECIPIENT}>\r\nSubject: {SUBJECT}\r\n\r\n{BODY}\r\n"
).encode()
ZONE = """
mijnbakkerij.nl. 300 IN SOA ns.mijnbakkerij.nl. beheer.mijnbakkerij.nl. 1 3600 600 86400 300
mijnbakkerij.nl. 300 IN TXT "v=spf1 ip4:84.246.4.155 ip4:127.0.0.1 -all"
_dmarc.mijnbakkerij.nl. 300 IN TXT "v=DMARC1; p=none; rua=mailto:dmarc@mijnbakkerij.nl"
"""

examiner = Examiner(report)


@pytest.fixture(scope="module")
def nameserver() -> Iterator[NameServer]:
    with NameServer(ZONE) as server:
        yield server


@dataclass
class Office:
    """A relay, its smarthost, and the options that make a report of both."""

    relay: RelayProcess
    smarthost: Smarthost
    nameserver: NameServer

    @property
    def options(self) -> tuple[str, ...]:
        config, server = str(self.relay.config), self.nameserver.address
        return ("--config", config, "--nameserver", server, "--timeout", "4", "-4")

    def report(self, *more: str, code: int) -> dict[str, Any]:
        found = examiner.document(*self.options, *more, code=code)
        assert_no_canary(json.dumps(found))
        return found

    def send(self) -> None:
        self.relay.send("info@mijnbakkerij.nl", [RECIPIENT], MESSAGE)

    def change_password(self) -> None:
        """In both places, with a slip in the relay's: the provider now refuses it."""
        self.smarthost.behaviour.users = {"bakker": NEW_PASSWORD}
        self.smarthost.behaviour.script = {"AUTH": REFUSAL}
        self.relay.secret("isp", "CANARY-tikfout")

    @property
    def logins(self) -> int:
        return sum(session.times["AUTH"] for session in self.smarthost.sessions)


def assert_no_canary(text: str) -> None:
    for canary in CANARIES:
        assert canary not in text


@pytest.fixture
def office(tmp_path: Path, authority: Authority, nameserver: NameServer) -> Iterator[Office]:
    """Mail has just left through the relay."""
    context = authority.issue().server_context()
    behaviour = Behaviour(tls="starttls", context=context, users={"bakker": PASSWORD})
    with Smarthost(behaviour) as smarthost:
        process = RelayProcess(tmp_path)
        process.add_smarthost(
            smarthost.port,
            authority.ca_file,
            password=PASSWORD,
            more='allowed_senders = ["*@mijnbakkerij.nl"]',
        )
        with process:
            made = Office(process, smarthost, nameserver)
            made.send()
            process.wait_for_event("delivered")
            yield made


@pytest.fixture
def refused(office: Office) -> Office:
    """Then the password changed, and mail no longer leaves."""
    office.smarthost.stop()  # a warm connection needs no login
    office.change_password()
    office.smarthost.start()
    office.send()
    office.relay.wait_for_event("paused")
    return office


def parts(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """By command."""
    return {each["command"]: each for each in document["parts"]}


def test_all_is_well(office: Office) -> None:
    before = office.logins
    found = office.report(code=3)  # what DKIM selector is in use nobody knows
    assert office.logins == before + 1
    every = ["relay status", "relay account list", "connect", "tls", "auth", "spf", "dmarc", "dkim"]
    assert list(parts(found)) == every
    assert all(each.keys() >= ENVELOPE for each in found["parts"])
    assert parts(found)["auth"]["accepted"] is True
    assert parts(found)["spf"]["target"] == "mijnbakkerij.nl"
    told = findings(found)
    assert (told["works"], told["login-accepted"], told["relay-running"]) == ("ok", "ok", "ok")
    history = found["history"]
    assert history["worked_until"].endswith("Z")
    assert (history["first_failure"], history["changed_since"]) == (None, [])
    assert {each["id"]: each["answer"] for each in found["questions"]} == {
        "password-changed": "no",
        "program-updated": "unknown",
        "server-changed": "no",
    }


def test_worked_until_the_password_changed(refused: Office) -> None:
    before = refused.logins
    found = refused.report(code=1)
    assert refused.logins == before  # the relay has paused the account: it is left alone
    assert findings(found)["account-paused"] == "unknown"
    history = found["history"]
    assert history["smarthost"] == "isp"
    failure = history["first_failure"]
    assert history["worked_until"] < failure["at"]
    assert (failure["phase"], failure["reply"]["code"]) == ("auth", 535)
    assert failure["explanation"]["scope"] == "account"
    (change,) = history["changed_since"]
    assert (change["what"], change["before"], change["after"]) == ("secret-file", None, None)
    assert history["worked_until"] < change["at"]
    answers = {each["id"]: each for each in found["questions"]}
    assert answers["password-changed"]["answer"] == "yes"
    assert answers["server-changed"]["answer"] == "no"
    failing = the_finding(found, "failing")
    assert failing["severity"] == "error"
    assert failing["remedy"] == failure["explanation"]["steps"]
    for words in ("isp", failure["explanation"]["meaning"], "password", failing["remedy"][0]):
        assert words in found["verdict_text"]


@pytest.mark.parametrize("language", ["nl", "en"])
def test_no_secret_and_no_mail_is_in_what_is_written(
    refused: Office, tmp_path: Path, language: str
) -> None:
    files = tmp_path / "report.html", tmp_path / "report.md"
    options = ("--html", str(files[0]), "--markdown", str(files[1]), "--lang", language)
    result = examiner.run(*refused.options, *options)
    assert result.exit_code == 1
    for text in (result.output, *(file.read_text() for file in files)):
        assert_no_canary(text)
        assert "535 5.7.8" in text


def test_one_password_is_tried_once_however_many_smarthosts_use_it(
    office: Office, authority: Authority
) -> None:
    office.relay.add_smarthost(
        office.smarthost.port, authority.ca_file, name="second", password=PASSWORD
    )
    office.relay.write_config()
    before = office.logins
    found = office.report(code=3)
    assert office.logins == before + 1
    assert [each["target"] for each in found["parts"] if each["command"] == "auth"] == ["isp"]
    assert [each["smarthost"] for each in found["history"]["smarthosts"]] == ["isp", "second"]
    assert found["history"]["smarthost"] == "isp"


def test_a_relay_that_may_not_be_asked_is_unknown(office: Office) -> None:
    token = office.relay.directory / "control.token"
    token.write_text("wrong\n")
    found = office.report("--no-login", code=3)
    assert findings(found)["relay-unknown"] == "unknown"
    assert found["history"] is None


def test_a_stopped_relay_is_read_without_a_trace(refused: Office) -> None:
    assert refused.relay.sigterm() == 0
    before = sorted(refused.relay.directory.iterdir())
    stamp = refused.relay.spool.read_bytes()
    found = refused.report("--no-login", code=1)
    assert sorted(refused.relay.directory.iterdir()) == before
    assert refused.relay.spool.read_bytes() == stamp
    assert findings(found)["relay-not-running"] == "error"
    assert "auth" not in parts(found)
    assert found["history"]["first_failure"]["reply"]["code"] == 535
    assert [each["what"] for each in found["history"]["changed_since"]] == ["secret-file"]
    assert parts(found)["relay status"]["smarthosts"][0]["queued"] == 1


def test_a_new_certificate_and_a_new_version_are_told(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert office.relay.sigterm() == 0
    office.smarthost.stop()
    office.smarthost.behaviour.context, ca_file = another_authority(office.relay.directory)
    office.smarthost.start()
    monkeypatch.setattr(relay, "__version__", "99.1")
    found = office.report("--no-login", "--ca-file", str(ca_file), code=1)
    changed = {each["what"]: each for each in found["history"]["changed_since"]}
    assert "authority" in changed["certificate"]["before"]["issuer"]
    assert "other" in changed["certificate"]["after"]["issuer"]
    assert changed["version"]["after"] == "99.1"
    answers = {each["id"]: each["answer"] for each in found["questions"]}
    assert (answers["program-updated"], answers["server-changed"]) == ("yes", "yes")


def another_authority(directory: Path) -> tuple[ssl.SSLContext, Path]:
    """A server with a certificate of another authority, for another time; and whom to trust."""
    made = trustme.CA(organization_name="other")
    ca_file = directory / "other.pem"
    made.cert_pem.write_to_path(str(ca_file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    last_day = datetime.datetime(2037, 1, 1, tzinfo=datetime.UTC)
    made.issue_cert("127.0.0.1", not_after=last_day).configure_cert(context)
    return context, ca_file


def test_recipients_in_replies_are_masked(office: Office) -> None:
    office.smarthost.behaviour.script = {
        "MAIL": f"550 5.7.60 {RECIPIENT} and bakker@mijnbakkerij.nl may not send"
    }
    office.send()
    office.relay.wait_for_event("failed")
    found = office.report("--no-login", code=1)
    assert "***" in found["history"]["first_failure"]["reply"]["text"]


WORKED = "2026-11-02T09:00:00.000Z"
LATER = "2026-11-02T10:00:00.000Z"


def past(known: dict[str, Any], now: Now) -> dict[str, Any]:
    """The changes by what changed, of a relay that knows this of its smarthost."""
    entry = {"name": "isp", "worked_until": WORKED, "worked_address": "192.0.2.1", **known}
    state = RelayState(True, True, {"smarthosts": [entry]})
    found = past_of(Configured(name="isp", host="mail.example"), state, now, "en")
    return {each.what: (each.before, each.after, each.at) for each in found.changes}


@pytest.mark.parametrize(
    ("known", "addresses", "change"),
    [
        ({}, ("192.0.2.1", "192.0.2.9"), None),
        ({}, ("192.0.2.9",), ("192.0.2.1", "192.0.2.9", None)),
        ({}, ("2001:db8::1",), None),
        ({"seen": {"address": {"met": ["192.0.2.9"], "before": None}}}, ("192.0.2.9",), None),
        ({"first_failure": {"address": "192.0.2.7"}}, (), ("192.0.2.1", "192.0.2.7", LATER)),
        ({"first_failure": {"address": "2001:db8::1"}}, (), None),
        (
            {"seen": {"address": {"met": [], "before": "a", "value": "b", "since": LATER}}},
            ("192.0.2.1",),
            ("a", "b", LATER),
        ),
        (
            {"seen": {"address": {"met": [], "before": "a", "value": "b", "since": WORKED}}},
            ("192.0.2.1",),
            None,
        ),
    ],
)
def test_only_an_address_never_met_is_a_change(
    known: dict[str, Any], addresses: tuple[str, ...], change: Any
) -> None:
    if "first_failure" in known:
        known["first_failure"] |= {"at": LATER, "phase": "connect", "reply": None}
    assert past(known, Now(addresses=addresses)).get("address") == change


def test_nothing_is_compared_with_a_past_that_is_not_known() -> None:
    assert past({"worked_until": None}, Now(addresses=("192.0.2.9",), version="2")) == {}


def test_no_relay_ever_ran(tmp_path: Path, nameserver: NameServer) -> None:
    file = RelayFile(tmp_path, '[[smarthost]]\nname = "isp"\npreset = "ziggo"\nauth = "none"\n')
    file.write_config()
    options = ("--config", str(file.config), "--nameserver", nameserver.address, "--timeout", "0.3")
    found = examiner.document(*options, code=examiner.run(*options, "--json").exit_code)
    assert findings(found)["relay-never-ran"] == "info"
    assert {each["answer"] for each in found["questions"]} == {"unknown"}
    assert not file.spool.exists()
