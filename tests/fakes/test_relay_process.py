"""A relay that does not start says why, and its environment is the test's own."""

from pathlib import Path

import pytest
from fakes.certificates import Authority
from fakes.ports import free_port
from fakes.relay_process import RelayProcess


@pytest.fixture
def relay(tmp_path: Path, authority: Authority) -> RelayProcess:
    relay = RelayProcess(tmp_path)
    relay.add_smarthost(free_port(), authority.ca_file)
    return relay


def fail_with(relay: RelayProcess) -> None:
    with relay:
        relay.wait_for_event("started")
        raise ZeroDivisionError


def test_a_relay_that_refuses_to_start_raises_with_its_own_words(tmp_path: Path) -> None:
    relay = RelayProcess(tmp_path, "[delivery]\nmodus = 1\n")
    with pytest.raises(RuntimeError, match="modus"):
        relay.start()
    relay.kill9()


def test_a_failed_test_shows_the_log(relay: RelayProcess) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        fail_with(relay)
    assert '"event": "started"' in caught.value.__notes__[0]


def test_it_is_free_of_what_the_tests_were_started_with(
    relay: RelayProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RELAY_CONFIG", "/nowhere/relay.toml")
    monkeypatch.setenv("NOTIFY_SOCKET", "/nowhere/socket")
    monkeypatch.setenv("LANG", "nl_NL.UTF-8")
    with relay:
        (started,) = relay.wait_for_event("started")
        assert started["listeners"] == [f"127.0.0.1:{relay.port}"]
        assert relay.secret("isp", "geheim").stat().st_mode & 0o777 == 0o600
        assert relay.sigterm() == 0
    assert relay.log_events("stopped")
