"""`diagnose sender`: the provider's rule, alignment, and what receivers make of it."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from fakes.nameserver import Fault, Kind, NameServer
from fakes.nsd import Nsd
from fakes.peers import needs
from typer.testing import CliRunner

from diagnose.checks.receivers import Proof, judge
from diagnose.checks.sender_alignment import SIGNS
from diagnose.checks.sender_rule import permission
from diagnose.commands.sender import sender
from diagnose.domain import Address
from presets.catalog import catalog

RECORD = "v=spf1 ip4:84.246.4.155 -all"
ZONE = f"""
$TTL 60
mijnbakkerij.nl. IN TXT "{RECORD}"
_dmarc.mijnbakkerij.nl. IN TXT "v=DMARC1; p=none; rua=mailto:post@mijnbakkerij.nl"
spf.protection.outlook.com. IN TXT "v=spf1 ip4:40.92.0.0/15 ip4:52.100.0.0/14 -all"
ziggo.nl. IN TXT "v=spf1 ip4:84.116.6.0/24 ip4:84.116.73.0/24 -all"
"""
INFO = "info@mijnbakkerij.nl"

app = typer.Typer()
app.command()(sender)


@app.callback()
def _several() -> None:
    pass


@pytest.fixture
def server() -> Iterator[NameServer]:
    with NameServer(ZONE) as running:
        yield running


def invoke(at: str, address: str, via: str, *options: str) -> Any:
    return CliRunner().invoke(
        app, ["sender", address, "--via", via, "--nameserver", at, "--lang", "en", *options]
    )


def document(
    server: NameServer, address: str, via: str, *options: str, code: int = 0
) -> dict[str, Any]:
    result = invoke(server.address, address, via, "--json", *options)
    assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def severities(found: dict[str, Any]) -> dict[str, str]:
    return {finding["id"]: finding["severity"] for finding in found["findings"]}


def outcomes(found: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["outcome"] for each in found["receivers"]}


def publish(server: NameServer, name: str, *texts: str) -> None:
    """These TXT records at a name instead of those that stand there."""
    server.withdraw(name, "TXT")
    for text in texts:
        server.publish(f'{name}. 60 IN TXT "{text}"')


def test_the_bakery_through_ziggo(server: NameServer) -> None:
    """The example of the manual: refused in 2015, taken today, and believed by nobody."""
    found = document(server, INFO, "ziggo", code=1)
    assert found["may_send"] == "yes"
    assert (found["spf_aligned"], found["dkim_aligned"]) == (False, False)
    assert found["dmarc_policy"] == "none"
    assert outcomes(found) == {"gmail": "refused", "microsoft": "at-risk", "kpn": "unknown"}
    assert severities(found) == {
        "sender-yes": "info",
        "sender-since-2015": "info",
        "sender-not-aligned": "error",
    }
    remedy = found["findings"][-1]["remedy"]
    assert any("relay dkim keygen" in step for step in remedy)
    assert "2015-11-18" in found["findings"][1]["title"]


def test_the_address_that_ziggo_gave(server: NameServer) -> None:
    found = document(server, "mijnbakkerij@ziggo.nl", "ziggo", code=3)
    assert found["may_send"] == "yes"
    # All addresses that were seen pass, and there may be others.
    assert (found["spf_aligned"], found["dkim_aligned"]) == (None, None)
    assert "sender-since-2015" not in severities(found)


@pytest.mark.parametrize(
    ("policy", "outcome"), [("quarantine", "spam"), ("reject", "refused"), ("reject; t=y", "spam")]
)
def test_the_policy_decides_what_receivers_do(
    server: NameServer, policy: str, outcome: str
) -> None:
    publish(server, "_dmarc.mijnbakkerij.nl", f"v=DMARC1; p={policy}")
    found = document(server, INFO, "kpn", code=1)
    assert outcomes(found) == {"gmail": outcome, "microsoft": outcome, "kpn": "at-risk"}


def test_a_signature_in_the_providers_name_is_enough_for_gmail(server: NameServer) -> None:
    found = document(server, INFO, "kpn")
    assert (found["spf_aligned"], found["dkim_aligned"]) == (False, False)
    assert outcomes(found)["gmail"] == "accepted"
    assert severities(found)["sender-not-aligned"] == "warning"


def test_microsoft_with_spf_in_order(server: NameServer) -> None:
    publish(server, "mijnbakkerij.nl", "v=spf1 include:spf.protection.outlook.com -all")
    found = document(server, INFO, "microsoft365", "--username", INFO.upper())
    assert (found["may_send"], found["spf_aligned"], found["dkim_aligned"]) == ("yes", True, False)
    assert set(outcomes(found).values()) == {"accepted"}
    assert severities(found) == {"sender-yes": "ok", "sender-aligned": "ok"}
    assert all(each["why"] for each in found["receivers"])


def test_microsoft_with_another_account(server: NameServer) -> None:
    found = document(server, INFO, "microsoft365", "--username", "kassa@mijnbakkerij.nl", code=1)
    assert found["may_send"] == "no"
    assert severities(found)["sender-no"] == "error"
    assert "5.2.252" in found["findings"][0]["detail"]


def test_microsoft_without_an_account_depends_on_it(server: NameServer) -> None:
    publish(server, "mijnbakkerij.nl", "v=spf1 include:spf.protection.outlook.com -all")
    found = document(server, INFO, "microsoft365", code=3)
    assert found["may_send"] == "unknown"
    assert severities(found)["sender-which-account"] == "unknown"
    assert "--username" in found["findings"][0]["remedy"][0]


def test_a_record_that_lacks_the_provider(server: NameServer) -> None:
    found = document(server, INFO, "microsoft365", "--username", INFO, code=1)
    assert found["spf_aligned"] is False
    steps = found["findings"][-1]["remedy"]
    assert "selector1._domainkey.mijnbakkerij.nl" in steps[0]
    assert "include:spf.protection.outlook.com" in steps[1]


def test_a_domain_without_any_spf(server: NameServer) -> None:
    publish(server, "mijnbakkerij.nl", "something else")
    found = document(server, INFO, "ziggo", code=1)
    assert found["spf_aligned"] is False
    assert "no SPF record" in found["findings"][-1]["detail"]


def test_a_published_key_of_the_provider_aligns(server: NameServer) -> None:
    key = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
    publish(server, "selector1._domainkey.mijnbakkerij.nl", f"v=DKIM1; k=ed25519; p={key}")
    found = document(server, INFO, "microsoft365", "--username", INFO)
    assert (found["spf_aligned"], found["dkim_aligned"]) == (False, True)
    assert severities(found)["sender-aligned"] == "ok"


def test_gmail_changes_the_sender(server: NameServer) -> None:
    found = document(server, INFO, "gmail")
    assert found["may_send"] == "rewritten"
    assert severities(found) == {"sender-rewritten": "warning"}
    assert len(found["receivers"]) == 3


def test_a_name_of_the_past_warns(server: NameServer) -> None:
    found = document(server, INFO, "smtp.upcmail.nl", code=1)
    assert found["preset"] == "ziggo"
    assert severities(found)["preset-outdated"] == "warning"


def test_a_provider_of_which_nothing_is_known(server: NameServer) -> None:
    found = document(server, INFO, "odido", code=3)
    assert found["may_send"] == "unknown"
    assert severities(found) == {"sender-unknown": "unknown", "sender-alignment-unknown": "unknown"}
    assert set(outcomes(found).values()) == {"unknown"}


@pytest.mark.parametrize("kind", ["silent", "servfail", "garbage"])
@pytest.mark.parametrize("at", ["*", "mijnbakkerij.nl"])
def test_dns_that_fails_is_could_not_check(server: NameServer, kind: Kind, at: str) -> None:
    server.faults[at] = Fault(kind)
    began = time.monotonic()
    found = document(server, INFO, "ziggo", "--timeout", "0.2", code=3)
    assert time.monotonic() - began < 2.2
    assert severities(found)["dns-failed"] == "unknown"
    assert found["spf_aligned"] is None
    assert found["may_send"] == "yes"


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("_dmarc.mijnbakkerij.nl", "DMARC"),
        ("*._domainkey.mijnbakkerij.nl", "DKIM"),
        ("spf.protection.outlook.com", "SPF"),
    ],
)
def test_one_question_that_fails_is_told(server: NameServer, name: str, what: str) -> None:
    server.faults[name] = Fault("servfail")
    found = document(server, INFO, "microsoft365", "--username", INFO, code=3)
    told = [each for each in found["findings"] if each["id"] == "dns-failed"]
    assert [each["evidence"]["what"] for each in told] == [what]
    assert outcomes(found)["microsoft"] == "unknown" or what == "DMARC"


def test_a_domain_that_does_not_exist(server: NameServer) -> None:
    found = document(server, "info@bestaatniet.example", "ziggo", code=1)
    assert severities(found)["not-found"] == "error"


@pytest.mark.parametrize(
    ("address", "via", "options"),
    [
        ("info", "ziggo", ()),
        (INFO, "zigo", ()),
        ("a\r\nRCPT@b.nl", "ziggo", ()),
        (INFO, "ziggo", ("--password-file", "/dev/null")),
    ],
)
def test_wrong_usage(server: NameServer, address: str, via: str, options: tuple[str, ...]) -> None:
    result = invoke(server.address, address, via, "--json", *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr
    assert not server.questions


@pytest.mark.parametrize("language", ["nl", "en"])
def test_every_preset_gets_a_verdict_in_words(server: NameServer, language: str) -> None:
    for id_ in catalog().ids:
        result = invoke(server.address, INFO, id_, "--lang", language)
        assert result.exit_code in (0, 1, 3), (id_, result.exception)
        assert "{" not in result.stdout


@pytest.mark.parametrize(
    ("address", "via", "username", "may"),
    [
        (INFO, "hccnet", None, "no"),
        (INFO, "outlook-com", None, "no"),
        ("a@hccnet.nl", "hccnet", None, "yes"),
        ("a@hccnet.nl", "hccnet", "b@hccnet.nl", "no"),
        (INFO, "transip", None, "unknown"),
        (INFO, "transip", INFO, "yes"),
        (INFO, "gmail", "a@gmail.com", "rewritten"),
        ("a@gmail.com", "gmail", "a@gmail.com", "yes"),
        (INFO, "google-workspace", None, "unknown"),
        (INFO, "google-workspace", INFO, "yes"),
        (INFO, "sendgrid", None, "yes"),
        (INFO, "icloud", None, "unknown"),
    ],
)
def test_rules(address: str, via: str, username: str | None, may: str) -> None:
    local_part, _, domain = address.partition("@")
    found = permission(Address(local_part, domain), catalog().get(via), username)
    assert found.may == may


@pytest.mark.parametrize(
    ("proof", "expected"),
    [
        (Proof(True, True, "reject"), ("accepted", "accepted", "accepted")),
        (Proof(False, False, None), ("refused", "at-risk", "unknown")),
        (Proof(False, True, None), ("accepted", "at-risk", "unknown")),
        (Proof(False, True, "quarantine"), ("spam", "spam", "at-risk")),
        (Proof(False, True, "reject"), ("refused", "refused", "at-risk")),
        (Proof(None, None, "reject"), ("unknown", "unknown", "unknown")),
        (Proof(False, False, None, policy_known=False), ("unknown", "unknown", "unknown")),
    ],
)
def test_receivers(proof: Proof, expected: tuple[str, str, str]) -> None:
    found = judge(proof)
    assert tuple(each.outcome for each in found) == expected
    assert found[0].reference
    assert found[1].reference


@pytest.mark.parametrize(
    ("id_", "words"),
    [
        ("freedom", "signed with their own d="),
        ("proton", "signed for the custom domain"),
        ("kpn", "NOT aligned"),
        ("ziggo", "does not add its own DKIM signature to foreign-domain mail"),
    ],
)
def test_who_signs_is_what_the_presets_say(id_: str, words: str) -> None:
    assert id_ in SIGNS
    fact = catalog().get(id_).dkim
    assert fact is not None
    assert words in (fact.value or "")


@needs("nsd")
def test_before_and_after_the_fix_with_a_real_name_server(tmp_path: Path) -> None:
    with Nsd(ZONE, tmp_path) as server:
        before = invoke(server.address, INFO, "microsoft365", "--username", INFO)
        assert before.exit_code == 1, before.output
        server.publish(ZONE.replace(RECORD, "v=spf1 include:spf.protection.outlook.com -all"))
        after = invoke(server.address, INFO, "microsoft365", "--username", INFO)
        assert after.exit_code == 0, after.output
