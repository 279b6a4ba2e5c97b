"""A reload: queued mail follows the new routes and credentials, and a bad file changes nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.certificates import Authority
from fakes.invoice import invoice
from fakes.relay_process import RelayProcess
from fakes.script import Behaviour
from fakes.smarthost import Smarthost

SENDER = "info@mijnbakkerij.nl"
CONTENT = invoice(SENDER, ["een@example.net"])


def behaviour(authority: Authority) -> Behaviour:
    context = authority.issue().server_context()
    return Behaviour(tls="starttls", context=context, users={"bakker": "nieuw"})


@pytest.fixture
def smarthost(authority: Authority) -> Iterator[Smarthost]:
    with Smarthost(behaviour(authority)) as smarthost:
        yield smarthost


def reload(relay: RelayProcess, way: str) -> None:
    """Makes the running relay read its configuration anew, which must go well."""
    if way == "SIGHUP":
        relay.hup()
    else:
        relay.write_config()
        done = relay.run("reload")
        assert done.code == 0, done
    relay.wait_until(lambda: any(event["applied"] for event in relay.log_events("reloaded")))


@pytest.mark.parametrize("way", ["SIGHUP", "relay reload"])
def test_queued_mail_leaves_with_the_new_password(
    tmp_path: Path, authority: Authority, smarthost: Smarthost, way: str
) -> None:
    relay = RelayProcess(tmp_path)
    secret = relay.add_smarthost(smarthost.port, authority.ca_file, password="oud")
    with relay:
        relay.send(SENDER, ["een@example.net"], CONTENT)
        relay.wait_for_event("paused")
        (waiting,) = relay.queue()
        assert (waiting["state"], waiting["waiting_for"]) == ("queued", "account")
        assert [one.accepted for session in smarthost.sessions for one in session.logins] == [False]
        # Retrying never tries a refused password again.
        relay.retry_all()
        secret.write_text("nieuw\n")
        reload(relay, way)
        (message,) = smarthost.wait_for(1, timeout_seconds=5)
        relay.wait_until(lambda: relay.queue() == [])
    assert message.content.endswith(b"\r\n" + CONTENT)
    passwords = [one.password for session in smarthost.sessions for one in session.logins]
    assert passwords == ["oud", "nieuw"]
    assert "nieuw" not in relay.stderr


@pytest.mark.parametrize("way", ["SIGHUP", "relay reload"])
def test_queued_mail_takes_the_new_route(
    tmp_path: Path, authority: Authority, smarthost: Smarthost, way: str
) -> None:
    relay = RelayProcess(tmp_path)
    gone = Smarthost()
    gone.start()
    gone.stop()
    relay.add_smarthost(gone.port, authority.ca_file, name="gone")
    with relay:
        relay.send(SENDER, ["een@example.net"], CONTENT)
        relay.wait_for_event("paused")
        relay.tables = ""
        relay.add_smarthost(smarthost.port, authority.ca_file, name="new", password="nieuw")
        reload(relay, way)
        smarthost.wait_for(1)
        relay.wait_until(lambda: relay.queue() == [])


def test_a_bad_file_is_told_with_its_faults_and_the_old_one_stays_in_force(
    tmp_path: Path, authority: Authority, smarthost: Smarthost
) -> None:
    relay = RelayProcess(tmp_path)
    relay.add_smarthost(smarthost.port, authority.ca_file, password="nieuw")
    with relay:
        good = relay.tables
        relay.tables += "\n[delivery]\nmodus = 1\nwarn_after = 'soon'\n"
        relay.write_config()
        lines = relay.config.read_text().splitlines()
        told = relay.run("reload")
        assert told.code == 2
        for fault in ("modus", "warn_after"):
            number = next(n for n, line in enumerate(lines, 1) if line.startswith(fault))
            assert f"{relay.config.name}:{number}:" in told.out + told.err, told
        relay.hup()
        (event,) = relay.wait_for_event("reloaded")
        assert event["applied"] is False
        assert len(event["faults"]) == 2
        relay.send(SENDER, ["een@example.net"], CONTENT)
        smarthost.wait_for(1)
        relay.tables = good
        reload(relay, "relay reload")
        relay.send(SENDER, ["twee@example.net"], CONTENT)
        smarthost.wait_for(2)
