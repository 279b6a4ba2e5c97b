"""`relay listener certificate`: a real client trusts what it makes, and for nothing else."""

import json
import ssl
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from fakes.certificates import Authority
from fakes.relay_process import RelayProcess
from typer.testing import CliRunner, Result

from relay import authority as module
from relay.authority import (
    AUTHORITY_FILE,
    AUTHORITY_KEY_FILE,
    CERTIFICATE_FILE,
    CERTIFICATE_LIFETIME,
    Names,
    NotCovered,
    issue,
    new_authority,
    read_authority,
)
from relay.cli.app import app

NOW = datetime.now(UTC)
SMARTHOST = '[[smarthost]]\nname = "isp"\nhost = "127.0.0.1"\nport = 9\ntls = "none"\n'
CONFIG = (
    'language = "en"\nhostname = "relay.mijnbakkerij.nl"\n'
    '[[listener]]\naddress = "192.168.1.10:2525"\n' + SMARTHOST
)


def run(directory: Path, *options: str, config: str = CONFIG) -> Result:
    file = directory / "relay.toml"
    file.write_text(config)
    given = ["listener", "certificate", "--out", str(directory / "tls"), "--config", str(file)]
    return CliRunner().invoke(app, [*given, *options])


def document(directory: Path, *options: str, config: str = CONFIG) -> dict[str, Any]:
    result = run(directory, "--json", *options, config=config)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def client(ca_file: Path) -> ssl.SSLContext:
    """A client that trusts this authority alone, and takes the standards strictly."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ca_file)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


def shake_hands(context: ssl.SSLContext, certificate: Path, name: str) -> None:
    """A whole handshake in memory; raises ssl.SSLError as the client does."""
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.load_cert_chain(certificate)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = own.wrap_bio(to_server, to_client, server_side=True)
    there = context.wrap_bio(to_client, to_server, server_hostname=name)
    ends: list[Callable[[], None]] = [there.do_handshake, server.do_handshake]
    for _ in range(10):
        for step in list(ends):
            try:
                step()
            except ssl.SSLWantReadError:
                continue
            ends.remove(step)
        if not ends:
            return
    raise AssertionError("no end of the handshake")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    directory = tmp_path_factory.mktemp("made")
    return directory / "tls", document(directory)


def test_a_client_with_the_authority_accepts_it_by_name_and_address(
    made: tuple[Path, dict[str, Any]],
) -> None:
    directory, told = made
    context = client(directory / AUTHORITY_FILE)
    assert told["names"] == ["relay.mijnbakkerij.nl"]
    assert told["addresses"] == ["192.168.1.10"]
    for name in (*told["names"], *told["addresses"]):
        shake_hands(context, directory / CERTIFICATE_FILE, name)
    for name in ("mijnbakkerij.nl", "192.168.1.11"):
        with pytest.raises(ssl.SSLCertVerificationError):
            shake_hands(context, directory / CERTIFICATE_FILE, name)


def test_a_client_without_the_authority_does_not(
    made: tuple[Path, dict[str, Any]], authority: Authority
) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(client(authority.ca_file), made[0] / CERTIFICATE_FILE, "192.168.1.10")


@pytest.mark.parametrize("name", ["bank.example.nl", "mijnbakkerij.nl", "93.184.216.34"])
def test_who_takes_the_key_cannot_pose_as_somebody_else(
    made: tuple[Path, dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    directory, _ = made
    stolen = read_authority(directory)
    assert stolen is not None
    try:
        names = Names(("relay.mijnbakkerij.nl",), (ip_address(name),))
    except ValueError:
        names = Names((name,))
    with pytest.raises(NotCovered):
        issue(stolen, names, NOW)
    monkeypatch.setattr(module, "_insist_on_covered", lambda *_: None)
    forged = tmp_path / "forged.pem"
    forged.write_bytes(issue(stolen, names, NOW)[1])
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree"):
        shake_hands(client(directory / AUTHORITY_FILE), forged, name)


def test_keys_are_their_owners_alone_and_nothing_else_is_left(
    made: tuple[Path, dict[str, Any]],
) -> None:
    modes = {each.name: each.stat().st_mode & 0o777 for each in made[0].iterdir()}
    assert modes == {AUTHORITY_FILE: 0o644, AUTHORITY_KEY_FILE: 0o600, CERTIFICATE_FILE: 0o600}
    assert b"PRIVATE KEY" not in (made[0] / AUTHORITY_FILE).read_bytes()


def test_once_more_is_a_new_certificate_by_the_same_authority(tmp_path: Path) -> None:
    first = document(tmp_path)
    before = (tmp_path / "tls" / CERTIFICATE_FILE).read_bytes()
    authority = (tmp_path / "tls" / AUTHORITY_FILE).read_bytes()
    second = document(tmp_path, "--ip", "192.168.7.7", "--name", "post.relay.mijnbakkerij.nl")
    assert (first["authority_is_new"], second["authority_is_new"]) == (True, False)
    assert first["fingerprint"] == second["fingerprint"]
    assert (tmp_path / "tls" / AUTHORITY_FILE).read_bytes() == authority
    assert (tmp_path / "tls" / CERTIFICATE_FILE).read_bytes() != before
    shake_hands(
        client(tmp_path / "tls" / AUTHORITY_FILE),
        tmp_path / "tls" / CERTIFICATE_FILE,
        "192.168.7.7",
    )


def test_another_name_takes_a_new_authority_and_the_old_one_is_put_aside(tmp_path: Path) -> None:
    old = document(tmp_path)
    refused = run(tmp_path, "--name", "relay.elders.nl")
    assert refused.exit_code == 2
    assert "relay.elders.nl" in refused.stderr
    assert "--new-authority" in refused.stderr
    new = document(tmp_path, "--name", "relay.elders.nl", "--new-authority")
    assert new["authority_is_new"]
    assert new["fingerprint"] != old["fingerprint"]
    kept = x509.load_pem_x509_certificate((tmp_path / "tls" / "relay-ca.crt.old").read_bytes())
    assert kept.not_valid_after_utc > NOW


def test_an_authority_without_its_key_is_told(tmp_path: Path) -> None:
    document(tmp_path)
    (tmp_path / "tls" / AUTHORITY_KEY_FILE).unlink()
    refused = run(tmp_path)
    assert refused.exit_code == 2
    assert AUTHORITY_KEY_FILE in refused.stderr
    assert "--new-authority" in refused.stderr


def test_a_start_that_was_broken_off_is_begun_anew(tmp_path: Path) -> None:
    # The key comes first: nobody can trust an authority of which there is no certificate.
    (tmp_path / "tls").mkdir()
    (tmp_path / "tls" / AUTHORITY_KEY_FILE).write_text("half a k")
    assert document(tmp_path)["authority_is_new"]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--ip", "kassa"), "--ip"),
        (("--name", "niet goed"), "niet goed"),
        (("--name", "café.nl"), "xn--caf-dma.nl"),
    ],
)
def test_what_is_no_name_or_address_is_told(
    tmp_path: Path, options: tuple[str, ...], named: str
) -> None:
    refused = run(tmp_path, *options)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert named in refused.stderr
    assert not (tmp_path / "tls" / AUTHORITY_FILE).exists()


def test_it_is_made_though_the_configuration_already_waits_for_it(tmp_path: Path) -> None:
    tls = f'tls = "starttls"\ncertificate = "{tmp_path / "tls" / CERTIFICATE_FILE}"\n'
    config = CONFIG.replace('2525"\n', f'2525"\n{tls}')
    made = document(tmp_path, config=config)
    assert made["authority_is_new"]
    assert (made["names"], made["addresses"]) == (["relay.mijnbakkerij.nl"], ["192.168.1.10"])
    # Now it is good, and says what is to be done next.
    again = run(tmp_path, "--lang", "nl", config=config)
    assert "relay reload" in again.stdout
    assert "[[listener]]" not in again.stdout
    assert "op de werkplekken hoeft niets" in again.stdout


def test_the_steps_are_for_windows_in_both_languages(tmp_path: Path) -> None:
    told = run(tmp_path, "--lang", "nl").stdout
    assert "Vertrouwde basiscertificeringsinstanties" in told
    assert "certutil -addstore Root relay-ca.crt" in told
    found = read_authority(tmp_path / "tls")
    assert found is not None
    assert found.thumbprint in told
    told = run(tmp_path, "--lang", "en", "--new-authority").stdout
    assert "Trusted Root Certification Authorities" in told
    assert "any_login = true" in told


def test_old_authorities_end_their_certificates_with_them() -> None:
    names = Names(("relay.example",))
    authority = new_authority(names, NOW - timedelta(days=3600))
    certificate, _ = issue(authority, names, NOW)
    end = authority.certificate.not_valid_after_utc
    assert certificate.not_valid_after_utc == end < NOW + CERTIFICATE_LIFETIME


def test_a_program_sends_over_tls_with_a_login_and_a_new_certificate_needs_no_trust(
    tmp_path: Path,
) -> None:
    relay = RelayProcess(
        tmp_path,
        SMARTHOST + '[[client]]\nname = "boekhouding"\nnetworks = ["127.0.0.1"]\n'
        "any_login = true\nrequire_tls = true\n",
    )
    relay.write_config()
    given = ("listener", "certificate", "--out", str(tmp_path / "tls"))
    told = relay.run(*given, "--ip", "127.0.0.1", "--json")
    assert told.code == 0, told.err
    table = tomllib.loads(told.json["table"])["listener"][0]
    assert table["address"] == f"127.0.0.1:{relay.port}"
    relay.listener = f'tls = "{table["tls"]}"\ncertificate = "{table["certificate"]}"'
    context = client(tmp_path / "tls" / AUTHORITY_FILE)
    with relay:
        first = _send(relay, context)
        assert relay.run(*given, "--ip", "127.0.0.1").code == 0
        assert relay.run("reload").code == 0
        assert _send(relay, context) != first


def _send(relay: RelayProcess, context: ssl.SSLContext) -> Any:
    """One message as AccountView sends it; the serial number of the certificate it saw."""
    with relay.connect() as program:
        program.reply()
        program.command("EHLO werkplek")
        assert program.command("STARTTLS").startswith("220")
        program.start_tls(context, "127.0.0.1")
        program.command("EHLO werkplek")
        assert program.command("AUTH PLAIN AGEAYg==").startswith("235")
        program.command("MAIL FROM:<info@mijnbakkerij.nl>")
        program.command("RCPT TO:<klant@example.net>")
        assert program.message(b"Subject: x\r\n\r\nx\r\n").startswith("250")
        assert isinstance(program._socket, ssl.SSLSocket)
        return (program._socket.getpeercert() or {})["serialNumber"]


# Its end is watched.


ENDS = {60: None, 5: "certificate-ends", -1: "certificate-ended"}


@pytest.mark.parametrize(("days", "severity"), [(60, "ok"), (5, "warning"), (-1, "error")])
def test_a_certificate_s_end_shows_in_check(
    tmp_path: Path, authority: Authority, days: int, severity: str
) -> None:
    end = NOW + timedelta(days=days)
    pair = authority.issue(not_after=end)
    config = tmp_path / "relay.toml"
    tls = f'tls = "starttls"\ncertificate = "{pair.chain}"\nkey = "{pair.key}"'
    config.write_text(
        f'language = "en"\n[spool]\nurl = "sqlite://{tmp_path}/spool.db"\n'
        f'[[listener]]\naddress = "127.0.0.1:0"\n{tls}\n[web]\nenabled = false\n{SMARTHOST}'
    )
    checked = CliRunner().invoke(app, ["check", "--json", "--config", str(config)])
    findings = json.loads(checked.stdout)["findings"]
    found = [each for each in findings if each["id"] == "certificate"]
    assert [each["severity"] for each in found] == [severity]
    assert found[0]["evidence"]["day"] == end.astimezone().date().isoformat()
    assert checked.exit_code == (1 if severity == "error" else 0)


def test_a_certificate_s_end_shows_in_the_status(tmp_path: Path, authority: Authority) -> None:
    pairs = {days: authority.issue(not_after=NOW + timedelta(days=days)) for days in ENDS}
    served = tmp_path / "served.pem"

    def serve(days: int) -> None:
        served.write_bytes(pairs[days].chain.read_bytes() + pairs[days].key.read_bytes())

    serve(60)
    tls = f'tls = "starttls"\ncertificate = "{served}"'
    with RelayProcess(tmp_path, SMARTHOST, listener=tls) as relay:
        for days, expected in ENDS.items():
            serve(days)
            status = relay.run("status", "--json")
            told = {each["id"] for each in (*status.json["problems"], *status.json["warnings"])}
            assert told == (set() if expected is None else {expected})
            assert status.code == (1 if expected == "certificate-ended" else 0)
        assert str(served) in relay.run("status", "--lang", "nl").out
