"""`diagnose tls` against TLS servers with each fault, and against servers without TLS."""

import dataclasses
import json
import re
import ssl
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from fakes.blunt_server import BluntServer, answers, dropping_port, endless, says, silent
from fakes.certificates import Authority, ServerCertificate
from fakes.examining import Examiner, findings, the_finding
from fakes.faulty_certificates import issued, self_signed
from fakes.nameserver import Fault, NameServer
from fakes.ports import free_port
from fakes.script import Action, Behaviour
from fakes.smarthost import Smarthost

from diagnose.checks.tls import examine_tls
from diagnose.commands.tls import tls
from diagnose.finding import Examination
from diagnose.runner import Circumstances
from diagnose.target import Target
from presets.catalog import catalog
from presets.model import Tls

TLS = Examiner(tls)
OWN_KEYS = {"protocol", "cipher", "chain", "chain_complete", "days_left", "verified"}
NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> trustme.CA:
    return trustme.CA(organization_name="Root of the tests")


@pytest.fixture(scope="module")
def ca_file(root: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("root") / "root.pem"
    root.cert_pem.write_to_path(str(file))
    return str(file)


def starttls(certificate: ServerCertificate, **keys: Any) -> Behaviour:
    return Behaviour(tls="starttls", context=certificate.server_context(), **keys)


def examined(behaviour: Behaviour, *options: str, code: int) -> dict[str, Any]:
    with Smarthost(behaviour) as fake:
        found = TLS.document(f"localhost:{fake.port}", "--timeout", "3", *options, code=code)
    assert found.keys() >= OWN_KEYS
    return found


def faults(found: dict[str, Any]) -> dict[str, str]:
    """The findings without the one that names `--ca-file`."""
    return {id_: how for id_, how in findings(found).items() if id_ != "own-authorities"}


def test_starttls_with_a_whole_chain(root: trustme.CA, ca_file: str, tmp_path: Path) -> None:
    certificate = issued(tmp_path, root.create_child_ca(), not_after=NOW + timedelta(days=90.5))
    found = examined(starttls(certificate), "--ca-file", ca_file, code=0)
    assert (found["protocol"], found["verified"], found["chain_complete"]) == (
        "TLSv1.3",
        True,
        True,
    )
    assert found["days_left"] == 90
    assert found["cipher"].startswith("TLS_")
    assert [set(each) for each in found["chain"]] == [
        {"subject", "issuer", "not_after", "names"}
    ] * 2
    assert found["chain"][0]["issuer"] == found["chain"][1]["subject"]
    assert found["chain"][0]["names"] == ["localhost", "127.0.0.1", "::1"]
    assert datetime.fromisoformat(found["chain"][0]["not_after"]).tzinfo is not None
    assert findings(found) == {"trusted": "ok", "own-authorities": "info"}
    assert ca_file in the_finding(found, "own-authorities")["title"]


def test_it_takes_two_handshakes_and_sends_nothing_else(
    root: trustme.CA, ca_file: str, tmp_path: Path
) -> None:
    with Smarthost(starttls(issued(tmp_path, root))) as fake:
        TLS.document(f"127.0.0.1:{fake.port}", "--ca-file", ca_file, code=0)
        fake.wait_until(lambda: fake.open_connections == 0)
        said = [each.verbs for each in fake.sessions]
    # It does not wait for an answer to QUIT, so the end of the connection may overtake it.
    assert [verbs[:2] for verbs in said] == [["EHLO", "STARTTLS"]] * 2
    assert [verb for verbs in said for verb in verbs[2:] if verb != "QUIT"] == []


def test_implicit_tls_on_a_port_of_which_nothing_is_known(
    root: trustme.CA, ca_file: str, tmp_path: Path
) -> None:
    context = issued(tmp_path, root).server_context(ssl.TLSVersion.TLSv1_2)
    with Smarthost(Behaviour(tls="implicit", context=context)) as fake:
        target = f"127.0.0.1:{fake.port}"
        found = TLS.document(target, "--ca-file", ca_file, "--timeout", "0.5", code=0)
    assert (found["protocol"], found["verified"]) == ("TLSv1.2", True)
    assert faults(found) == {"trusted": "ok"}


@pytest.mark.parametrize(
    ("dates", "id_"),
    [
        ({"not_after": NOW - timedelta(days=3)}, "expired"),
        ({"not_before": NOW + timedelta(days=3)}, "not-yet-valid"),
    ],
)
def test_a_certificate_out_of_its_time(
    dates: dict[str, datetime], id_: str, root: trustme.CA, ca_file: str, tmp_path: Path
) -> None:
    certificate = issued(tmp_path, root, **dates)
    found = examined(starttls(certificate), "--ca-file", ca_file, code=1)
    assert faults(found) == {id_: "error"}
    assert found["verified"] is False
    assert found["chain_complete"] is True
    assert (found["days_left"] < 0) == (id_ == "expired")


@pytest.mark.parametrize(("days", "warned"), [(20.5, True), (21.5, False)])
def test_days_left(
    days: float, warned: bool, root: trustme.CA, ca_file: str, tmp_path: Path
) -> None:
    certificate = issued(tmp_path, root, not_after=NOW + timedelta(days=days))
    found = examined(starttls(certificate), "--ca-file", ca_file, code=0)
    assert found["days_left"] == int(days)
    assert ("expires-soon" in findings(found)) is warned
    assert found["verdict"] == ("warn" if warned else "pass")


def test_a_wrong_name_names_the_right_ones(root: trustme.CA, ca_file: str, tmp_path: Path) -> None:
    certificate = issued(tmp_path, root, "smtp.provider.test", "*.hosting.test")
    found = examined(starttls(certificate), "--ca-file", ca_file, code=1)
    assert faults(found) == {"wrong-name": "error"}
    assert "smtp.provider.test, *.hosting.test" in the_finding(found, "wrong-name")["detail"]


def test_each_fault_of_a_certificate_is_told_not_only_openssls_first(
    root: trustme.CA, ca_file: str, tmp_path: Path
) -> None:
    other = trustme.CA(organization_name="Nobody")
    certificate = issued(tmp_path, other, "x.test", not_after=NOW - timedelta(days=1))
    found = examined(starttls(certificate), "--ca-file", ca_file, code=1)
    assert faults(found) == dict.fromkeys(("expired", "wrong-name", "unknown-issuer"), "error")


def test_self_signed(ca_file: str, tmp_path: Path) -> None:
    certificate = self_signed(tmp_path)
    found = examined(starttls(certificate), "--ca-file", ca_file, code=1)
    assert faults(found) == {"self-signed": "error"}
    trusted = examined(starttls(certificate), "--ca-file", str(certificate.chain), code=0)
    assert trusted["verified"] is True


@pytest.mark.parametrize("root_is_sent", [True, False])
def test_unknown_issuer(root_is_sent: bool, ca_file: str, tmp_path: Path) -> None:
    other = trustme.CA(organization_name="Nobody")
    certificate = issued(tmp_path, other)
    if root_is_sent:
        with certificate.chain.open("ab") as file:
            file.write(other.cert_pem.bytes())
    found = examined(starttls(certificate), "--ca-file", ca_file, code=1)
    assert faults(found) == {"unknown-issuer": "error"}
    assert found["chain_complete"] is root_is_sent


def test_the_systems_authorities_do_not_know_ours(root: trustme.CA, tmp_path: Path) -> None:
    found = examined(starttls(issued(tmp_path, root)), code=1)
    assert findings(found) == {"unknown-issuer": "error"}


def test_an_incomplete_chain_by_the_authority_that_is_known_here(tmp_path: Path) -> None:
    # Both have the organisation that trustme gives by default, as a public authority's have one.
    root = trustme.CA()
    file = tmp_path / "root.pem"
    root.cert_pem.write_to_path(str(file))
    between = root.create_child_ca()
    found = examined(
        starttls(issued(tmp_path, between, whole_chain=False)), "--ca-file", str(file), code=1
    )
    assert faults(found) == {"incomplete-chain": "error"}
    assert found["chain_complete"] is False
    assert len(found["chain"]) == 1
    whole = examined(starttls(issued(tmp_path, between)), "--ca-file", str(file), code=0)
    assert whole["chain_complete"] is True


def test_an_incomplete_chain_by_where_its_issuer_can_be_had(ca_file: str, tmp_path: Path) -> None:
    certificate = self_signed(tmp_path, issuer_address="http://r99.public.test/")
    found = examined(starttls(certificate), "--ca-file", ca_file, code=1)
    assert faults(found) == {"incomplete-chain": "error"}


def test_a_virus_scanner(root: trustme.CA, ca_file: str, tmp_path: Path) -> None:
    scanner = trustme.CA(organization_unit_name="ESET SSL Filter CA")
    certificate = issued(tmp_path, scanner)
    found = examined(starttls(certificate), "--ca-file", ca_file, code=1)
    assert faults(found) == {"antivirus": "error"}
    assert the_finding(found, "antivirus")["evidence"]["product"] == "ESET"
    file = tmp_path / "scanner.pem"
    scanner.cert_pem.write_to_path(str(file))
    trusted = examined(starttls(certificate), "--ca-file", str(file), code=0)
    assert findings(trusted)["antivirus"] == "warning"


def test_tls_1_1_only(root: trustme.CA, ca_file: str, tmp_path: Path) -> None:
    context = issued(tmp_path, root).server_context()
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    found = examined(Behaviour(tls="starttls", context=context), "--ca-file", ca_file, code=1)
    assert found["protocol"] == "TLSv1.1"
    assert faults(found) == {"old-protocol": "error"}


def test_starttls_not_offered() -> None:
    found = examined(Behaviour(), code=1)
    assert findings(found) == {"starttls-not-offered": "error"}
    assert (found["protocol"], found["chain"], found["verified"]) == (None, [], False)


def test_starttls_overwritten_by_a_firewall() -> None:
    script = {"EHLO": "250-smarthost.test\n250-XXXXXXXA\n250 SIZE 100"}
    found = examined(Behaviour(script=script), code=1)
    assert findings(found) == {"starttls-overwritten": "error"}


def test_starttls_refused(root: trustme.CA, tmp_path: Path) -> None:
    script = {"STARTTLS": "454 4.7.0 TLS not available"}
    found = examined(starttls(issued(tmp_path, root), script=script), code=1)
    assert "454" in the_finding(found, "starttls-refused")["title"]


def test_something_slipped_in_before_tls(root: trustme.CA, ca_file: str, tmp_path: Path) -> None:
    script = {"STARTTLS": Action(reply=b"220 2.0.0 go ahead\r\n250-injected\r\n")}
    found = examined(starttls(issued(tmp_path, root), script=script), "--ca-file", ca_file, code=1)
    assert findings(found)["injected"] == "error"


async def of_preset(port: int, tls: Tls, ca_file: str | None = None) -> Examination:
    """A preset's own server, of which it says how TLS begins."""
    preset = catalog().get("ziggo")
    end = dataclasses.replace(preset.endpoints[0], host="localhost", port=port, tls=tls)
    preset = dataclasses.replace(preset, endpoints=(end,))
    target = Target("ziggo", "localhost", preset=preset, named=True)
    authorities = Path(ca_file) if ca_file else None
    return await examine_tls(
        target, Circumstances(timeout_seconds=1, ca_file=authorities, family=4)
    )


def of(found: Examination) -> dict[str, str]:
    ids = {each.id: each.severity.value for each in found.findings}
    ids.pop("own-authorities", None)
    return ids


async def test_starttls_stripped_where_the_preset_has_it() -> None:
    with Smarthost() as fake:
        found = await of_preset(fake.port, "starttls")
    assert of(found) == {"starttls-stripped": "error"}


async def test_a_preset_without_tls_is_no_surprise() -> None:
    with Smarthost() as fake:
        found = await of_preset(fake.port, "none")
    assert of(found) == {"no-tls-here": "warning"}


async def test_a_plain_greeting_where_tls_should_come_first(
    root: trustme.CA, ca_file: str, tmp_path: Path
) -> None:
    with Smarthost(starttls(issued(tmp_path, root))) as fake:
        found = await of_preset(fake.port, "implicit", ca_file)
    assert of(found) == {"plain-on-implicit-port": "error", "trusted": "ok"}


async def test_tls_awaited_where_starttls_should_come(
    root: trustme.CA, ca_file: str, tmp_path: Path
) -> None:
    context = issued(tmp_path, root).server_context()
    with Smarthost(Behaviour(tls="implicit", context=context)) as fake:
        found = await of_preset(fake.port, "starttls", ca_file)
    assert of(found) == {"implicit-on-starttls-port": "error", "trusted": "ok"}


async def test_a_handshake_that_stalls_is_not_known() -> None:
    with BluntServer(silent) as server:
        found = await of_preset(server.port, "implicit")
    assert of(found) == {"handshake-stalls": "unknown"}
    replies = (b"250-x\r\n250 STARTTLS\r\n", b"220 go\r\n")
    with BluntServer(answers(b"220 x.test ESMTP\r\n", *replies)) as server:
        found = await of_preset(server.port, "starttls")
    assert of(found) == {"handshake-stalls": "unknown"}


@pytest.mark.parametrize(
    ("conversation", "id_", "code"),
    [
        (silent, "no-greeting", 3),
        (says(b"+OK POP3\r\n"), "not-smtp", 1),
        (says(b"554 5.7.1 go away\r\n"), "refused", 1),
        (endless(b"220-x\r\n"), "endless", 1),
        (answers(b"220 x ESMTP\r\n", b"250-" + b"y" * 100_000 + b"\r\n"), "endless", 1),
        (answers(b"220 x ESMTP\r\n", b"250 STARTTLS\r\n"), "starttls-not-offered", 1),
        (
            answers(
                b"220 x ESMTP\r\n", b"250-x\r\n250 STARTTLS\r\n", b"220 go\r\nHTTP/1.1 400\r\n"
            ),
            "handshake-stalls",
            3,
        ),
        (says(b"220 \x1b[31mx ESMTP\r\n"), "broken-off", 3),
    ],
)
def test_servers_that_are_none(conversation: Any, id_: str, code: int) -> None:
    began = time.monotonic()
    with BluntServer(conversation) as server:
        target = f"127.0.0.1:{server.port}"
        found = TLS.document(target, "--timeout", "0.5", code=code)
    assert time.monotonic() - began < 5
    assert id_ in findings(found)
    assert "\x1b" not in json.dumps(found, ensure_ascii=False)


def test_out_of_reach_is_not_known() -> None:
    with dropping_port() as port:
        dropped = TLS.document(f"127.0.0.1:{port}", "--timeout", "0.4", code=3)
    refused = TLS.document(f"127.0.0.1:{free_port()}", code=3)
    assert findings(dropped) == findings(refused) == {"not-reached": "unknown"}
    with NameServer("x.test. 300 IN A 127.0.0.1") as server:
        asked = ("--nameserver", server.address, "--timeout", "0.4")
        assert findings(TLS.document("no.x.test", *asked, code=1)) == {"no-such-name": "error"}
        server.faults["x.test"] = Fault("silent")
        assert findings(TLS.document("x.test", *asked, code=3)) == {"dns-failed": "unknown"}


def test_a_ca_file_that_is_none_is_exit_2(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("nothing")
    for given in (str(file), str(tmp_path / "missing.pem")):
        result = TLS.run("localhost:1", "--ca-file", given, "--json")
        assert (result.exit_code, result.stdout) == (2, "")
        # Typer draws a box and breaks a long path at its edge.
        assert given.rsplit("/", 1)[1] in re.sub(r"[\s│]+", "", result.stderr)


def test_dutch_for_people(authority: Authority) -> None:
    with Smarthost(starttls(authority.issue("elders.test"))) as fake:
        shown = TLS.run(
            f"localhost:{fake.port}", "--lang", "nl", "--ca-file", str(authority.ca_file)
        )
    assert shown.exit_code == 1
    assert "!! Het certificaat is niet voor localhost" in shown.stdout
    assert "Het geldt voor: elders.test" in shown.stdout
