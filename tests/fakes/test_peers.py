"""A missing peer skips its tests with the cure, and fails them where CI promises all peers."""

from pathlib import Path

import pytest
from fakes import peers
from fakes.certificates import Authority
from fakes.ports import free_port
from fakes.raw_client import RawClient
from fakes.smarthost import Smarthost


@pytest.fixture
def without_peers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(peers, "_FOLDERS", str(tmp_path))
    monkeypatch.delenv("CI", raising=False)


@pytest.mark.usefixtures("without_peers")
def test_the_reason_names_each_package() -> None:
    assert peers.missing(("swaks", "postfix")) == "missing here: apt-get install swaks postfix"
    with pytest.raises(FileNotFoundError, match="apt-get install sasl2-bin"):
        peers.program("saslpasswd2")


@pytest.mark.usefixtures("without_peers")
def test_a_test_whose_peer_is_missing_is_skipped_and_counted(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request.node, "user_properties", [])
    with pytest.raises(pytest.skip.Exception, match="apt-get install swaks"):
        peers.skip_or_fail(request.node, peers.missing(("swaks",)) or "")
    assert [name for name, _ in request.node.user_properties] == [peers.SKIPPED]


@pytest.mark.usefixtures("without_peers")
def test_in_ci_a_missing_peer_is_a_failure(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="apt-get install swaks"):
        peers.skip_or_fail(request.node, peers.missing(("swaks",)) or "")
    assert request.node.user_properties == []


def test_a_program_that_is_there_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(peers, "_FOLDERS", str(tmp_path))
    (tmp_path / "swaks").touch(0o755)
    assert peers.program("swaks") == str(tmp_path / "swaks")
    assert peers.missing(("swaks",)) is None


def test_an_unknown_peer_is_a_mistake_in_the_test() -> None:
    with pytest.raises(ValueError, match="no such peer: swask"):
        peers.needs("swask")


def test_a_free_port_is_free() -> None:
    with Smarthost() as smarthost:
        smarthost.stop()
        smarthost.port = free_port()
        smarthost.start()
        with RawClient(smarthost.host, smarthost.port, source="127.0.0.2") as client:
            assert client.reply().startswith("220")
            client.half_close()
            assert client.rest() == b""
        assert smarthost.sessions[-1].peer[0] == "127.0.0.2"


def test_a_certificate_names_what_it_was_issued_for(authority: Authority) -> None:
    certificate = authority.issue("mail.example.net")
    assert certificate.key.stat().st_mode & 0o777 == 0o600
    assert certificate.chain.read_text().count("BEGIN CERTIFICATE") == 1
    assert authority.ca_file.read_text().startswith("-----BEGIN CERTIFICATE")
