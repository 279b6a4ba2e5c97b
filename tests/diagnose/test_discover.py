"""`diagnose presets discover` against a name server on loopback."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from fakes.nameserver import Fault, Kind, NameServer
from typer.testing import CliRunner

from diagnose import cli
from diagnose.checks.discover import presets_of_mx


@pytest.fixture
def server() -> Iterator[NameServer]:
    with NameServer("mijnbakkerij.nl. 60 IN A 192.0.2.1") as running:
        yield running


def document(
    server: NameServer, address: str = "info@mijnbakkerij.nl", *options: str, code: int = 0
) -> dict[str, Any]:
    result = CliRunner().invoke(
        cli.app,
        ["presets", "discover", address, "--nameserver", server.address, "--json", *options],
    )
    assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def severities(found: dict[str, Any]) -> dict[str, str]:
    return {finding["id"]: finding["severity"] for finding in found["findings"]}


def test_a_mail_domain_of_a_provider_needs_no_dns(server: NameServer) -> None:
    found = document(server, "mijnbakkerij@ziggo.nl")
    assert found["settings"] == [
        {
            "found_by": "mail-domain",
            "evidence": "ziggo.nl",
            "preset": "ziggo",
            "host": "smtp.ziggo.nl",
            "port": 587,
            "tls": "starttls",
            "username": "mijnbakkerij@ziggo.nl",
        }
    ]
    assert severities(found) == {"discover-domain": "ok"}
    assert not server.questions


def test_an_own_domain_by_its_mx(server: NameServer) -> None:
    host = "mijnbakkerij-nl.mail.protection.outlook.com."
    server.publish(f"mijnbakkerij.nl. 60 IN MX 0 {host}")
    found = document(server)
    first = found["settings"][0]
    assert (first["found_by"], first["preset"]) == ("mx", "microsoft365")
    assert first["evidence"] == host.rstrip(".")
    assert severities(found) == {"discover-mx": "ok"}


def test_what_the_domain_publishes_itself_goes_first(server: NameServer) -> None:
    server.publish("mijnbakkerij.nl. 60 IN MX 0 mx.transip.email.")
    server.publish("_submission._tcp.mijnbakkerij.nl. 60 IN SRV 0 1 587 mail.mijnbakkerij.nl.")
    server.publish("_submissions._tcp.mijnbakkerij.nl. 60 IN SRV 5 1 465 b.mijnbakkerij.nl.")
    server.publish("_submissions._tcp.mijnbakkerij.nl. 60 IN SRV 0 1 465 a.mijnbakkerij.nl.")
    found = document(server)
    told = [(each["found_by"], each["host"], each["tls"]) for each in found["settings"]]
    assert told == [
        ("srv", "a.mijnbakkerij.nl", "implicit"),
        ("srv", "b.mijnbakkerij.nl", "implicit"),
        ("srv", "mail.mijnbakkerij.nl", "starttls"),
        ("mx", "smtp.transip.email", "implicit"),
    ]
    assert severities(found) == {"discover-srv": "ok", "discover-mx": "ok"}


def test_a_published_server_elsewhere_is_pointed_out(server: NameServer) -> None:
    server.publish("_submission._tcp.mijnbakkerij.nl. 60 IN SRV 0 1 587 smtp.ziggo.nl.")
    found = document(server)
    assert severities(found) == {"discover-srv": "ok", "discover-foreign": "info"}
    assert found["settings"][0]["preset"] == "ziggo"


def test_a_service_that_is_not_offered(server: NameServer) -> None:
    server.publish("_submission._tcp.mijnbakkerij.nl. 60 IN SRV 0 0 0 .")
    server.publish("mijnbakkerij.nl. 60 IN MX 0 .")
    found = document(server, code=1)
    assert severities(found) == {"discover-nothing": "error"}


def test_nothing_found_guesses_nothing(server: NameServer) -> None:
    server.publish("mijnbakkerij.nl. 60 IN MX 10 mx.mijnbakkerij.nl.")
    found = document(server, code=1)
    assert severities(found) == {"discover-nothing": "error"}
    assert (found["settings"], found["mx"]) == ([], ["mx.mijnbakkerij.nl"])
    asked = {question.name for question in server.questions}
    assert asked == {
        "mijnbakkerij.nl",
        "_submission._tcp.mijnbakkerij.nl",
        "_submissions._tcp.mijnbakkerij.nl",
    }


@pytest.mark.parametrize("kind", ["silent", "servfail", "garbage"])
def test_dns_that_fails_is_could_not_check(server: NameServer, kind: Kind) -> None:
    server.faults["*"] = Fault(kind)
    began = time.monotonic()
    found = document(server, "info@mijnbakkerij.nl", "--timeout", "0.2", code=3)
    assert time.monotonic() - began < 2.2
    assert severities(found) == {"dns-failed": "unknown"}


def test_mx_that_fails_does_not_hide_what_srv_says(server: NameServer) -> None:
    server.publish("_submission._tcp.mijnbakkerij.nl. 60 IN SRV 0 1 587 mail.mijnbakkerij.nl.")
    server.faults["mijnbakkerij.nl"] = Fault("servfail", rdtypes=frozenset({"MX"}))
    found = document(server, code=3)
    assert severities(found) == {"discover-srv": "ok", "dns-failed": "unknown"}


def test_a_domain_that_does_not_exist(server: NameServer) -> None:
    found = document(server, "info@bestaatniet.example", code=1)
    assert severities(found) == {"not-found": "error"}


@pytest.mark.parametrize("address", ["info", "@a.nl", "info@", "info@nl", "a b@c.nl", "a@1.2.3.4"])
def test_what_is_no_address_is_wrong_usage(server: NameServer, address: str) -> None:
    result = CliRunner().invoke(
        cli.app, ["presets", "discover", address, "--nameserver", server.address, "--json"]
    )
    assert (result.exit_code, result.stdout) == (2, "")
    assert not server.questions


@pytest.mark.parametrize(
    ("host", "first"),
    [
        ("aspmx.l.google.com", "google-workspace"),
        ("x-nl.mail.protection.outlook.com", "microsoft365"),
        ("mx.soverin.net", "freedom"),
        ("mx1.hostnet.nl", "hostnet"),
        ("mxin.kpnmail.nl", "kpn"),
        ("mail.foo.nl", None),
        ("com", None),
    ],
)
def test_presets_by_mx_host(host: str, first: str | None) -> None:
    assert next((preset.id for preset in presets_of_mx(host)), None) == first


def test_a_name_with_hostile_bytes_is_shown_without_them(server: NameServer) -> None:
    server.publish(r"mijnbakkerij.nl. 60 IN MX 0 \027[31m.example.")
    result = CliRunner().invoke(
        cli.app, ["presets", "discover", "info@mijnbakkerij.nl", "--nameserver", server.address]
    )
    assert result.exit_code == 1
    assert "\x1b" not in result.stdout
