"""`diagnose dkim` against a name server on loopback: keys good, bad, and not to be found."""

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from fakes.nameserver import Fault, Kind, NameServer
from typer.testing import CliRunner

from diagnose.checks.dkim_key import parse_key
from diagnose.checks.dkim_selectors import named_by, usual_selectors
from diagnose.commands.dkim import dkim
from presets.catalog import catalog

# Public halves of keys whose private halves nobody has kept.
RSA_512 = (
    "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAL5Kl8rm9A3XWizNwUicWjBSt/Cubv8H6fGoEZqzxHW5tPpX+w5fcHotm96b"
    "PFw2H2aYRmwQJ/BbvQpih6olgssCAwEAAQ=="
)
RSA_1024 = (
    "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDSURHSr74DwZc8A8YkOM7zLpQiWHVeL6CrqNu6gfco+G6m+p6l7ki6"
    "8FYW9vumKM2LOzeh2ZAIr3F0qpadTOadftZ/LTyIuV1xlJxc5kw3snHaLKgvV/hWK1uNP9KD6R7k+dSgLgITLF5oxC/9"
    "mm/sjd0UwEEC8betHMMTcavD3QIDAQAB"
)

app = typer.Typer()
app.command()(dkim)


@app.callback()
def _several() -> None:
    pass


def public(key: rsa.RSAPrivateKey, form: serialization.PublicFormat) -> str:
    raw = key.public_key().public_bytes(serialization.Encoding.DER, form)
    return base64.b64encode(raw).decode()


KEY_2048 = rsa.generate_private_key(65537, 2048)
RSA_2048 = public(KEY_2048, serialization.PublicFormat.SubjectPublicKeyInfo)
PKCS1_2048 = public(KEY_2048, serialization.PublicFormat.PKCS1)
ED25519 = base64.b64encode(
    # Always the same: it stands in the names of tests.
    ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32))).public_key().public_bytes_raw()
).decode()
GOOD = f"v=DKIM1; k=rsa; p={RSA_2048}"


@pytest.fixture
def server() -> Iterator[NameServer]:
    with NameServer("mijnbakkerij.nl. 60 IN A 192.0.2.1") as running:
        yield running


def publish(server: NameServer, selector: str, record: str) -> None:
    pieces = " ".join(f'"{record[at : at + 200]}"' for at in range(0, len(record), 200))
    server.publish(f"{selector}._domainkey.mijnbakkerij.nl. 60 IN TXT {pieces}")


def document(server: NameServer, *options: str, code: int = 0) -> dict[str, Any]:
    result = CliRunner().invoke(
        app, ["dkim", "mijnbakkerij.nl", "--nameserver", server.address, "--json", *options]
    )
    assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def severities(found: dict[str, Any]) -> dict[str, str]:
    return {finding["id"]: finding["severity"] for finding in found["findings"]}


def test_a_good_key_is_found_at_a_usual_selector(server: NameServer) -> None:
    publish(server, "selector2", GOOD)
    found = document(server)
    assert severities(found) == {"dkim-ok": "ok"}
    (selector,) = found["selectors"]
    assert (selector["selector"], selector["type"], selector["bits"]) == ("selector2", "rsa", 2048)
    assert found["tried"] == list(usual_selectors())


def test_a_key_behind_an_alias(server: NameServer) -> None:
    server.publish("s1._domainkey.mijnbakkerij.nl. 60 IN CNAME s1.dkim.example.")
    server.publish(f's1.dkim.example. 60 IN TXT "v=DKIM1; k=ed25519; p={ED25519}"')
    assert document(server)["selectors"][0]["bits"] == 256


def test_only_the_named_selector_is_asked(server: NameServer) -> None:
    publish(server, "eigen", GOOD)
    publish(server, "default", "v=DKIM1; p=")
    found = document(server, "--selector", "Eigen")
    assert severities(found) == {"dkim-ok": "ok"}
    assert found["tried"] == ["eigen"]
    assert not server.asked("default._domainkey.mijnbakkerij.nl")


@pytest.mark.parametrize(
    ("record", "id_", "severity"),
    [
        (f"v=DKIM1; p={RSA_512}", "dkim-too-short", "error"),
        (f"v=DKIM1; p={RSA_1024}", "dkim-short", "warning"),
        (f"v=DKIM1; t=y:s; p={RSA_2048}", "dkim-testing", "warning"),
        ("v=DKIM1; p=", "dkim-revoked", "error"),
        (f"v=DKIM1; p={RSA_2048[:100]}", "dkim-syntax", "error"),
        ("v=spf1 -all", "dkim-syntax", "error"),
    ],
)
def test_a_selector_that_was_named(
    server: NameServer, record: str, id_: str, severity: str
) -> None:
    publish(server, "eigen", record)
    found = document(server, "--selector", "eigen", code=1 if severity == "error" else 0)
    assert severities(found) == {id_: severity}
    assert found["findings"][0]["remedy"]


def test_a_selector_that_is_not_there(server: NameServer) -> None:
    assert severities(document(server, "--selector", "weg", code=1)) == {"dkim-missing": "error"}


def test_several_keys_at_one_selector(server: NameServer) -> None:
    publish(server, "mail", GOOD)
    publish(server, "mail", f"v=DKIM1; p={RSA_1024}")
    assert severities(document(server, code=1)) == {"dkim-several": "error"}


def test_a_short_key_that_is_tested_too_is_told_both(server: NameServer) -> None:
    publish(server, "mail", f"v=DKIM1; t=y; p={RSA_1024}")
    assert severities(document(server)) == {"dkim-short": "warning", "dkim-testing": "warning"}


def test_an_old_revoked_key_at_a_usual_selector_is_no_trouble(server: NameServer) -> None:
    publish(server, "mail", "v=DKIM1; p=")
    publish(server, "google", GOOD)
    assert severities(document(server)) == {"dkim-revoked": "info", "dkim-ok": "ok"}


def test_nothing_at_the_usual_selectors_is_not_known(server: NameServer) -> None:
    found = document(server, code=3)
    assert severities(found) == {"dkim-not-found": "unknown"}
    assert found["selectors"] == []


def test_a_wildcard_that_is_no_key(server: NameServer) -> None:
    server.publish('*.mijnbakkerij.nl. 60 IN TXT "v=spf1 -all"')
    assert severities(document(server, code=3)) == {"dkim-not-found": "unknown"}


def test_a_wildcard_of_revoked_keys_is_told_once(server: NameServer) -> None:
    server.publish('*._domainkey.mijnbakkerij.nl. 60 IN TXT "v=DKIM1; p="')
    found = document(server)
    assert severities(found) == {"dkim-revoked": "info", "dkim-wildcard": "info"}
    assert len(found["findings"]) == 2


@pytest.mark.parametrize("kind", ["silent", "servfail", "garbage"])
@pytest.mark.parametrize("at", ["*", "*._domainkey.mijnbakkerij.nl"])
def test_dns_that_fails_is_could_not_check(server: NameServer, kind: Kind, at: str) -> None:
    server.faults[at] = Fault(kind)
    began = time.monotonic()
    found = document(server, "--timeout", "0.2", code=3)
    assert time.monotonic() - began < 2.2
    assert severities(found) == {"dns-failed": "unknown"}


def test_one_selector_that_fails_hides_no_other(server: NameServer) -> None:
    publish(server, "google", GOOD)
    server.faults["default._domainkey.mijnbakkerij.nl"] = Fault("servfail")
    found = document(server, code=3)
    assert severities(found) == {"dkim-ok": "ok", "dns-failed": "unknown"}


def test_a_domain_that_does_not_exist(server: NameServer) -> None:
    server.withdraw("mijnbakkerij.nl")
    assert severities(document(server, code=1)) == {"not-found": "error"}


@pytest.mark.parametrize("selector", ["", "a b", "-a", "a..b", "x" * 200, "é"])
def test_what_is_no_selector_is_wrong_usage(server: NameServer, selector: str) -> None:
    result = CliRunner().invoke(
        app, ["dkim", "mijnbakkerij.nl", f"--selector={selector}", "--nameserver", server.address]
    )
    assert result.exit_code == 2
    assert not server.questions


def test_hostile_text_is_shown_without_its_escapes(server: NameServer) -> None:
    server.publish('mail._domainkey.mijnbakkerij.nl. 60 IN TXT "p=\\027[31mrood"')
    result = CliRunner().invoke(
        app, ["dkim", "mijnbakkerij.nl", "--nameserver", server.address, "--lang", "nl"]
    )
    assert result.exit_code == 1
    assert "\x1b" not in result.stdout


@pytest.mark.parametrize(
    ("record", "fault"),
    [
        (f"p={RSA_2048}", None),
        (f"v=DKIM1; p={PKCS1_2048}", None),
        (f"v=DKIM1; k=ed25519; p={ED25519}", None),
        (f"v=DKIM1; h=sha256; n=hallo; s=email; p={RSA_2048};", None),
        (f"v=DKIM1; p={RSA_2048[:64]} {RSA_2048[64:]}", None),
        (f"k=rsa; v=DKIM1; p={RSA_2048}", "version"),
        (f"v=DKIM2; p={RSA_2048}", "version"),
        (f"v=dkim1; p={RSA_2048}", "version"),
        ("v=DKIM1; k=rsa", "no-key"),
        (f"v=DKIM1; k=dsa; p={RSA_2048}", "type"),
        (f"v=DKIM1; s=tlsrpt; p={RSA_2048}", "service"),
        (f"v=DKIM1; p={RSA_2048}; p={RSA_2048}", "tags"),
        (f"v=DKIM1 p={RSA_2048}", "version"),
        ("v=DKIM1; rsa; p=x", "tags"),
        ("v=DKIM1; p=!!!", "key"),
        ("v=DKIM1; p=AAAA", "key"),
        (f"v=DKIM1; k=ed25519; p={RSA_2048}", "key"),
        (f'v=DKIM1; p="{RSA_2048}"', "key"),
        ("", "no-key"),
    ],
)
def test_key_records(record: str, fault: str | None) -> None:
    key = parse_key(record)
    assert key.fault == fault
    assert (key.bits is not None) == (fault is None)


def test_selectors_come_from_the_presets_too() -> None:
    assert named_by(catalog().get("microsoft365")) == ("selector1", "selector2")
    assert named_by(catalog().get("transip")) == ("transip-A", "transip-B", "transip-C")
    assert named_by(catalog().get("sendgrid")) == ("s1", "s2")
    assert {"google", "default", "k1", "mail", "selector1"} <= set(usual_selectors())
