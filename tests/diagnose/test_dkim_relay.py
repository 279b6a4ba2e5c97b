"""`diagnose dkim` and `sender` with the relay's configuration: its own key against DNS."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fakes.mail_dkim import publish
from fakes.nameserver import Fault, NameServer
from typer.testing import CliRunner

from diagnose.checks.report_parts import Wishes, parts_of_config, run_parts
from diagnose.commands.dkim import dkim
from diagnose.commands.sender import sender
from diagnose.runner import Circumstances
from relay.config.load import load
from relay.config.model import SecretRef
from relay.message.dkim_record import new_key, record_of

NAME = "relay._domainkey.mijnbakkerij.nl"
ZONE = """
$TTL 60
mijnbakkerij.nl. IN TXT "v=spf1 ip4:84.246.4.155 -all"
post.mijnbakkerij.nl. IN A 192.0.2.1
_dmarc.mijnbakkerij.nl. IN TXT "v=DMARC1; p=reject"
"""
KEY, PEM = new_key()
OTHER, _ = new_key()
RECORD = record_of("mijnbakkerij.nl", "relay", KEY).value

app = typer.Typer()
app.command()(dkim)
app.command()(sender)


@pytest.fixture
def server() -> Iterator[NameServer]:
    with NameServer(ZONE) as running:
        yield running


@pytest.fixture
def config(tmp_path: Path) -> Path:
    key = tmp_path / "dkim.pem"
    key.touch(0o600)
    key.write_bytes(PEM)
    file = tmp_path / "relay.toml"
    file.write_text(
        '[[smarthost]]\nname = "isp"\npreset = "ziggo"\nauth = "none"\n[[dkim]]\n'
        'domain = "mijnbakkerij.nl"\nselector = "relay"\nkey = { file = "dkim.pem" }\n'
    )
    return file


def document(server: NameServer, *arguments: str, code: int = 0) -> dict[str, Any]:
    result = CliRunner().invoke(
        app, [*arguments, "--nameserver", server.address, "--lang", "en", "--json"]
    )
    assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
    assert "PRIVATE" not in result.stdout
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def severities(found: dict[str, Any]) -> dict[str, str]:
    return {finding["id"]: finding["severity"] for finding in found["findings"]}


def pkcs1(key: RSAPrivateKey) -> str:
    import base64

    raw = key.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    return base64.b64encode(raw).decode()


def examined(server: NameServer, config: Path, *options: str, code: int = 0) -> dict[str, Any]:
    return document(server, "dkim", "mijnbakkerij.nl", "--config", str(config), *options, code=code)


@pytest.mark.parametrize(
    "record", [RECORD, f"v=DKIM1;p={pkcs1(KEY)}", f"p= {RECORD.partition('p=')[2]} ; k=rsa"]
)
def test_the_key_in_dns_is_that_of_the_relay(server: NameServer, config: Path, record: str) -> None:
    publish(server, NAME, record)
    found = examined(server, config)
    assert severities(found) == {
        "config-joined": "info",
        "dkim-ok": "ok",
        "dkim-relay-match": "ok",
    }
    assert found["relay"] == {
        "domain": "mijnbakkerij.nl",
        "selector": "relay",
        "host": NAME,
        "state": "match",
        "record": RECORD,
    }
    assert found["tried"][0] == "relay"


STATES = {
    "missing": ("", "error", 1),
    "other": (record_of("mijnbakkerij.nl", "relay", OTHER).value, "error", 1),
    "revoked": ("v=DKIM1; p=", "error", 1),
    "testing": (RECORD.replace("k=rsa", "k=rsa; t=y"), "warning", 0),
    "broken": (RECORD[:200], "error", 1),
}


@pytest.mark.parametrize("state", STATES)
def test_what_dns_has_instead(server: NameServer, config: Path, state: str) -> None:
    record, severity, code = STATES[state]
    if record:
        publish(server, NAME, record)
    found = examined(server, config, code=code)
    assert found["relay"]["state"] == state
    assert severities(found)[f"dkim-relay-{state}"] == severity
    assert "dkim-not-found" not in severities(found)


def test_a_text_of_another_kind_is_no_key(server: NameServer, config: Path) -> None:
    publish(server, NAME, "v=spf1 -all")
    assert examined(server, config, code=1)["relay"]["state"] == "broken"


def test_two_keys_at_the_selector(server: NameServer, config: Path) -> None:
    publish(server, NAME, RECORD)
    publish(server, NAME, record_of("mijnbakkerij.nl", "relay", OTHER).value)
    assert examined(server, config, code=1)["relay"]["state"] == "several"


def test_a_name_server_that_fails_is_not_good(server: NameServer, config: Path) -> None:
    server.faults[NAME] = Fault("servfail")
    found = examined(server, config, "--selector", "elders", code=1)
    assert severities(found)["dkim-relay-unchecked"] == "unknown"
    assert found["relay"]["state"] == "unchecked"


def test_the_own_selector_is_compared_beside_the_one_asked_for(
    server: NameServer, config: Path
) -> None:
    publish(server, NAME, RECORD)
    publish(server, "selector1._domainkey.mijnbakkerij.nl", RECORD)
    found = examined(server, config, "--selector", "selector1")
    assert found["tried"] == ["selector1"]
    assert found["relay"]["state"] == "match"


def test_a_subdomain_is_signed_with_the_key_above(server: NameServer, config: Path) -> None:
    publish(server, NAME, RECORD)
    found = document(server, "dkim", "post.mijnbakkerij.nl", "--config", str(config))
    assert (found["relay"]["host"], found["relay"]["state"]) == (NAME, "match")


def test_a_domain_of_others_has_no_key_of_the_relay(server: NameServer, config: Path) -> None:
    server.publish("elders.nl. 60 IN A 192.0.2.1")
    found = document(server, "dkim", "elders.nl", "--config", str(config), code=3)
    assert found["relay"] is None
    assert "dkim-not-found" in severities(found)


def test_a_report_compares_it_too(server: NameServer, config: Path) -> None:
    parts = parts_of_config(load(config, {}), Wishes(login=False), "en")
    assert [part.target for part in parts if part.command == "dkim"] == ["mijnbakkerij.nl"]


async def test_a_key_that_cannot_be_read_here_is_not_called_missing(
    server: NameServer, config: Path
) -> None:
    read = load(config, {})
    gone = replace(read.dkim[0], key=SecretRef("file", "/nergens"))
    parts = parts_of_config(replace(read, dkim=(gone,)), Wishes(login=False), "en")
    circumstances = Circumstances(timeout_seconds=4, nameserver=server.pair)
    (done,) = await run_parts([part for part in parts if part.command == "dkim"], circumstances)
    found = done.document()
    assert severities(found) == {"dkim-relay-unreadable": "unknown"}
    assert found["relay"]["record"] is None


def test_a_key_file_that_is_gone_stops_no_examination(server: NameServer, config: Path) -> None:
    publish(server, NAME, RECORD)
    Path(load(config, {}).dkim[0].key.name).unlink()
    found = document(server, "dkim", "mijnbakkerij.nl", "--config", str(config), code=3)
    assert found["relay"]["state"] == "unreadable"


# `diagnose sender`: the relay's own signature makes own-domain mail pass DMARC.


def believed(server: NameServer, *options: str, code: int = 0) -> dict[str, Any]:
    return document(server, "sender", "info@mijnbakkerij.nl", "--via", "ziggo", *options, code=code)


def outcomes(found: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["outcome"] for each in found["receivers"]}


def test_without_the_relay_nobody_believes_it(server: NameServer) -> None:
    publish(server, NAME, RECORD)
    found = believed(server, code=1)
    assert (found["dkim_aligned"], outcomes(found)["gmail"]) == (False, "refused")


def test_signed_by_the_relay_it_passes(server: NameServer, config: Path) -> None:
    publish(server, NAME, RECORD)
    found = believed(server, "--config", str(config))
    assert (found["spf_aligned"], found["dkim_aligned"]) == (False, True)
    assert severities(found)["sender-aligned"] == "ok"
    assert outcomes(found)["gmail"] == "accepted"
    (about,) = [each for each in found["findings"] if each["id"] == "sender-aligned"]
    assert "the relay signs in the name of mijnbakkerij.nl" in about["detail"]


@pytest.mark.parametrize("state", ["missing", "other", "revoked", "broken"])
def test_a_key_that_receivers_cannot_find_does_not_count(
    server: NameServer, config: Path, state: str
) -> None:
    if STATES[state][0]:
        publish(server, NAME, STATES[state][0])
    found = believed(server, "--config", str(config), code=1)
    assert found["dkim_aligned"] is False
    (about,) = [each for each in found["findings"] if each["id"] == "sender-not-aligned"]
    assert "relay dkim record mijnbakkerij.nl" in about["remedy"][0]
    assert not any("keygen" in step for step in about["remedy"])


def test_a_name_server_that_fails_leaves_it_open(server: NameServer, config: Path) -> None:
    server.faults[NAME] = Fault("servfail")
    assert believed(server, "--config", str(config), code=3)["dkim_aligned"] is None


@pytest.mark.parametrize(("adkim", "aligned", "code"), [("r", True, 0), ("s", False, 1)])
def test_strict_alignment_wants_the_very_domain(
    server: NameServer, config: Path, adkim: str, aligned: bool, code: int
) -> None:
    publish(server, NAME, RECORD)
    server.publish(f'_dmarc.post.mijnbakkerij.nl. 60 IN TXT "v=DMARC1; p=reject; adkim={adkim}"')
    found = document(
        *(server, "sender", "info@post.mijnbakkerij.nl", "--via", "ziggo"),
        *("--config", str(config)),
        code=code,
    )
    assert found["dkim_aligned"] is aligned
