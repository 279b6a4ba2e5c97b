"""`diagnose dmarc` against a name server on loopback, good, bad and broken."""

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from fakes.nameserver import Fault, Kind, NameServer
from typer.testing import CliRunner

from diagnose.blocking import in_thread
from diagnose.checks.dmarc_policy import Policy, split_tags, suggestion
from diagnose.commands.dmarc import dmarc

ZONE = """
$TTL 60
mijnbakkerij.nl. IN A 192.0.2.1
www.mijnbakkerij.nl. IN A 192.0.2.1
other.example. IN A 192.0.2.2
"""
GOOD = "v=DMARC1; p=reject; rua=mailto:post@mijnbakkerij.nl"

app = typer.Typer()
app.command()(dmarc)


@app.callback()
def _several() -> None:
    pass


@pytest.fixture
def server() -> Iterator[NameServer]:
    with NameServer(ZONE) as running:
        yield running


def run(server: NameServer, domain: str = "mijnbakkerij.nl", *options: str) -> Any:
    return CliRunner().invoke(
        app, ["dmarc", domain, "--nameserver", server.address, "--lang", "en", *options]
    )


def document(
    server: NameServer, domain: str = "mijnbakkerij.nl", *options: str, code: int = 0
) -> dict[str, Any]:
    result = run(server, domain, "--json", *options)
    assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def publish(server: NameServer, *records: str, at: str = "_dmarc.mijnbakkerij.nl") -> None:
    for record in records:
        server.publish(f'{at}. 60 IN TXT "{record}"')


def severities(found: dict[str, Any]) -> dict[str, str]:
    return {finding["id"]: finding["severity"] for finding in found["findings"]}


def test_an_enforced_policy(server: NameServer) -> None:
    publish(server, GOOD)
    found = document(server)
    assert severities(found) == {"dmarc-enforced": "ok"}
    assert (found["record"], found["location"]) == (GOOD, "mijnbakkerij.nl")
    assert (found["policy"], found["applied"], found["suggestion"]) == ("reject", "reject", None)
    assert found["tags"] == {"v": "DMARC1", "p": "reject", "rua": "mailto:post@mijnbakkerij.nl"}
    assert found["alignment"] == {"aspf": "r", "adkim": "r"}
    assert GOOD in run(server).stdout


def test_a_subdomain_gets_the_policy_of_the_domain_above(server: NameServer) -> None:
    publish(server, "v=DMARC1; p=reject; sp=quarantine; rua=mailto:a@mijnbakkerij.nl")
    found = document(server, "www.mijnbakkerij.nl")
    assert found["location"] == "mijnbakkerij.nl"
    assert found["policy"] == "quarantine"
    assert severities(found) == {
        "dmarc-enforced": "ok",
        "dmarc-inherited": "info",
        "dmarc-subdomains-weaker": "warning",
    }


def test_an_own_record_of_a_subdomain_goes_first(server: NameServer) -> None:
    publish(server, GOOD)
    publish(
        server, "v=DMARC1; p=none; rua=mailto:a@mijnbakkerij.nl", at="_dmarc.www.mijnbakkerij.nl"
    )
    found = document(server, "www.mijnbakkerij.nl")
    assert (found["location"], found["policy"]) == ("www.mijnbakkerij.nl", "none")
    assert severities(found) == {"dmarc-monitoring": "info"}


def test_no_record_is_a_warning_with_one_to_publish(server: NameServer) -> None:
    found = document(server)
    assert severities(found) == {"dmarc-none": "warning"}
    assert found["record"] is None
    record = found["suggestion"]
    assert record in found["findings"][0]["remedy"][0]
    publish(server, record)
    assert severities(document(server)) == {"dmarc-monitoring": "info"}


@pytest.mark.parametrize(
    ("records", "id_", "better"),
    [
        (["v=DMARC1; p=none", "v=DMARC1; p=reject"], "dmarc-several", "p=none"),
        (["v=DMARC1; p=quarantined"], "dmarc-syntax", "p=quarantine"),
        (["v=DMARC1; p=reject; p=none"], "dmarc-syntax", "p=reject"),
        (["v=DMARC1; p=reject; rua=mailto:a@x.nl; rua=mailto:b@x.nl"], "dmarc-syntax", "a@x.nl"),
        (["v=DMARC1; p: reject"], "dmarc-syntax", "p=reject"),
        (["v=dmarc1; p=reject"], "dmarc-unreadable", "p=reject"),
        (["v=DMARC1 p=reject, rua:info@mijnbakkerij.nl"], "dmarc-unreadable", "mailto:info@"),
        ([" v=DMARC1; p=reject"], "dmarc-unreadable", "p=reject"),
    ],
)
def test_a_record_with_a_fault_is_told_the_fix(
    server: NameServer, records: list[str], id_: str, better: str
) -> None:
    publish(server, *records)
    found = document(server, code=1)
    assert severities(found)[id_] == "error"
    assert better in found["suggestion"]
    server.withdraw("_dmarc.mijnbakkerij.nl")
    publish(server, found["suggestion"])
    assert document(server)["verdict"] in ("pass", "warn")


def test_a_record_at_the_domain_itself(server: NameServer) -> None:
    publish(server, GOOD, at="mijnbakkerij.nl")
    assert severities(document(server, code=1)) == {"dmarc-misplaced": "error"}


@pytest.mark.parametrize(
    ("record", "id_", "severity"),
    [
        ("v=DMARC1; p=none; rua=mailto:a@mijnbakkerij.nl", "dmarc-monitoring", "info"),
        ("v=DMARC1; p=reject", "dmarc-no-reports", "warning"),
        ("v=DMARC1; p=reject; t=y; rua=mailto:a@mijnbakkerij.nl", "dmarc-testing", "info"),
        ("v=DMARC1; p=reject; pct=20; rua=mailto:a@mijnbakkerij.nl", "dmarc-old-tags", "info"),
        ("v=DMARC1; p=reject; aspf=s; rua=mailto:a@mijnbakkerij.nl", "dmarc-strict", "info"),
        ("v=DMARC1; rua=mailto:a@mijnbakkerij.nl", "dmarc-no-action", "warning"),
        ("v=DMARC1; p=reject; rua=a@mijnbakkerij.nl", "dmarc-report-bad", "warning"),
        ("v=DMARC1; p=reject; rua=mailto:a@other.example", "dmarc-report-refused", "warning"),
    ],
)
def test_remarks(server: NameServer, record: str, id_: str, severity: str) -> None:
    publish(server, record)
    assert severities(document(server))[id_] == severity


def test_testing_lowers_what_receivers_apply(server: NameServer) -> None:
    publish(server, "v=DMARC1; p=reject; t=y; rua=mailto:a@mijnbakkerij.nl")
    found = document(server)
    assert (found["policy"], found["applied"]) == ("reject", "quarantine")


def test_a_foreign_address_for_reports_that_agrees(server: NameServer) -> None:
    publish(server, "v=DMARC1; p=reject; rua=mailto:a@other.example")
    publish(server, "v=DMARC1", at="*._report._dmarc.other.example")
    found = document(server)
    assert severities(found) == {"dmarc-enforced": "ok"}
    assert [each["state"] for each in found["reports"]] == ["authorised"]


def test_a_foreign_address_that_could_not_be_asked(server: NameServer) -> None:
    publish(server, "v=DMARC1; p=reject; rua=mailto:a@other.example")
    server.faults["*.other.example"] = Fault("servfail")
    found = document(server, code=3)
    assert severities(found)["dmarc-report-unknown"] == "unknown"


def test_other_texts_beside_the_record(server: NameServer) -> None:
    publish(server, GOOD, "v=spf1 -all")
    assert severities(document(server))["dmarc-unrelated"] == "info"


def test_a_domain_that_does_not_exist(server: NameServer) -> None:
    found = document(server, "bestaatniet.example", code=1)
    assert severities(found) == {"not-found": "error"}
    assert found["findings"][0]["remedy"]


@pytest.mark.parametrize("kind", ["silent", "servfail", "refused", "garbage", "wrong-id"])
@pytest.mark.parametrize("at", ["*", "_dmarc.mijnbakkerij.nl"])
def test_dns_that_fails_is_could_not_check(server: NameServer, kind: Kind, at: str) -> None:
    server.faults[at] = Fault(kind)
    began = time.monotonic()
    found = document(server, "mijnbakkerij.nl", "--timeout", "0.3", code=3)
    assert time.monotonic() - began < 3
    assert severities(found) == {"dns-failed": "unknown"}


def test_dns_that_fails_further_up_only(server: NameServer) -> None:
    server.faults["_dmarc.mijnbakkerij.nl"] = Fault("servfail")
    assert severities(document(server, "www.mijnbakkerij.nl", code=3)) == {"dns-failed": "unknown"}


def test_no_name_server_there_at_all(server: NameServer) -> None:
    address = server.address
    server.stop()
    result = CliRunner().invoke(
        app, ["dmarc", "mijnbakkerij.nl", "--nameserver", address, "--timeout", "0.3", "--json"]
    )
    assert result.exit_code == 3


def test_a_slow_server_stays_within_the_time(server: NameServer) -> None:
    publish(server, GOOD)
    server.faults["*"] = Fault("none", delay_seconds=0.25)
    began = time.monotonic()
    result = run(server, "a.b.c.d.mijnbakkerij.nl", "--timeout", "0.3", "--json")
    assert time.monotonic() - began < 4
    assert result.exit_code in (0, 1, 3)


def test_no_answer_is_remembered_from_the_server_before(server: NameServer) -> None:
    publish(server, GOOD)
    assert document(server)["policy"] == "reject"
    with NameServer(ZONE) as other:
        publish(other, "v=DMARC1; p=none; rua=mailto:a@mijnbakkerij.nl")
        assert document(other)["policy"] == "none"


def test_hostile_text_is_shown_without_its_escapes(server: NameServer) -> None:
    publish(server, "v=DMARC1; p=reject; x=\\027[31mrood; rua=mailto:a@mijnbakkerij.nl")
    result = run(server)
    assert "\x1b" not in result.stdout
    assert result.exit_code in (0, 1)


@pytest.mark.parametrize(
    "domain",
    ["", "nl", "1.2.3.4", "https://mijnbakkerij.nl/", "mijn bakkerij.nl", "-a.nl", "a..nl"],
)
def test_what_is_no_domain_is_wrong_usage(server: NameServer, domain: str) -> None:
    result = run(server, "--json", "--", domain)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr
    assert not server.questions


def test_an_address_stands_for_its_domain(server: NameServer) -> None:
    publish(server, GOOD)
    found = document(server, "info@mijnbakkerij.nl")
    assert found["target"] == "mijnbakkerij.nl"
    assert severities(found) == {"address-given": "info", "dmarc-enforced": "ok"}


def test_a_name_beyond_ascii(server: NameServer) -> None:
    server.publish("xn--bckerij-5wa.nl. 60 IN A 192.0.2.1")
    publish(server, GOOD.replace("mijnbakkerij", "xn--bckerij-5wa"), at="_dmarc.xn--bckerij-5wa.nl")
    assert document(server, "Bäckerij.nl.")["target"] == "xn--bckerij-5wa.nl"


def test_a_library_that_hangs_holds_up_nothing(
    server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from checkdmarc import dmarc as library

    hanging, ended = threading.Event(), threading.Event()

    def hang(*_: object, **__: object) -> None:
        hanging.wait(20)
        ended.set()

    monkeypatch.setattr(library, "query_dmarc_record", hang)
    began = time.monotonic()
    try:
        found = document(server, "mijnbakkerij.nl", "--timeout", "0.1", code=3)
        assert time.monotonic() - began < 2
        assert severities(found) == {"dns-failed": "unknown"}
    finally:
        hanging.set()
        assert ended.wait(5)


async def test_work_in_a_thread_returns_or_raises() -> None:
    assert await in_thread(lambda: 1 + 1, 5) == 2
    with pytest.raises(ZeroDivisionError):
        await in_thread(lambda: 1 / 0, 5)


@pytest.mark.parametrize(
    ("tags", "published", "applied"),
    [
        ("p=reject", "reject", "reject"),
        ("p=REJECT; t=y", "reject", "quarantine"),
        ("p=none; t=y", "none", "none"),
        ("sp=reject", "none", "none"),
        ("", "none", "none"),
    ],
)
def test_what_a_record_asks(tags: str, published: str, applied: str) -> None:
    record = f"v=DMARC1; {tags}"
    policy = Policy("a.example", record, "a.example", split_tags(record))
    assert (policy.published, policy.applied) == (published, applied)


def test_a_suggestion_from_nothing() -> None:
    assert suggestion([], "a.nl") == "v=DMARC1; p=none; rua=mailto:postmaster@a.nl"
    many = suggestion(["p=reject; rua=mailto:a@a.nl, b@b.nl; adkim=s; fo=9"], "a.nl")
    assert many == "v=DMARC1; p=reject; rua=mailto:a@a.nl,mailto:b@b.nl"
