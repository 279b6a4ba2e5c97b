"""A relay that does not start says why, and its environment is the test's own."""

from pathlib import Path

import pytest

from fakes.relay_process import RelayProcess


def test_a_relay_that_refuses_to_start_raises_with_its_own_words(tmp_path: Path) -> None:
    relay = RelayProcess(tmp_path, "[delivery]\nmodus = 1\n")
    with pytest.raises(RuntimeError, match="modus"):
        relay.start()
    relay.kill9()


def test_a_failed_test_shows_the_log(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError) as caught, RelayProcess(tmp_path) as relay:
        relay.wait_for_event("started")
        raise ZeroDivisionError
    assert '"event": "started"' in caught.value.__notes__[0]


def test_it_is_free_of_what_the_tests_were_started_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RELAY_CONFIG", "/nowhere/relay.toml")
    monkeypatch.setenv("NOTIFY_SOCKET", "/nowhere/socket")
    monkeypatch.setenv("LANG", "nl_NL.UTF-8")
    with RelayProcess(tmp_path) as relay:
        (started,) = relay.wait_for_event("started")
        assert started["listeners"] == [f"127.0.0.1:{relay.port}"]
        assert relay.secret("isp", "geheim").stat().st_mode & 0o777 == 0o600
        assert relay.sigterm() == 0
    assert relay.log_events("stopped")
