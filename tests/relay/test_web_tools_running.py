"""The page's tools in a relay that runs: the test message leaves, and the end waits for nobody."""

import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fakes.certificates import Authority
from fakes.consented import add_consented, token_behaviour
from fakes.issuer import Issuer
from fakes.relay_process import RelayProcess
from fakes.smarthost import Smarthost

from relay.control.token import read_token


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as running:
        yield running


def call(relay: RelayProcess, path: str, **body: object) -> Any:
    request = urllib.request.Request(
        f"http://{relay.host}:{relay.web_port}/api/v1{path}",
        json.dumps(body).encode() if body else None,
        {
            "Authorization": f"Bearer {read_token(relay.spool)}",
            "Content-Type": "application/json",
        },
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=60) as answer:
        return json.load(answer)


def test_a_test_message_arrives_and_the_account_consents_anew(
    tmp_path: Path, authority: Authority, issuer: Issuer
) -> None:
    behaviour = token_behaviour(authority, issuer, "XOAUTH2")
    with Smarthost(behaviour) as smarthost:
        relay = RelayProcess(tmp_path)
        now = datetime.now(UTC)
        add_consented(relay, smarthost.port, authority.ca_file, issuer, now)
        with relay:
            made = call(relay, "/test-message", to="klant@example.net", lang="nl")
            (arrived,) = smarthost.wait_for(1)
            assert b"Subject: Testbericht van relay.test" in arrived.content
            assert made["id"].encode() in arrived.content
            issuer.revoke()
            begun = call(relay, "/accounts/consent", name="isp")
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            opener.open(issuer.approve(begun["url"]), timeout=5).close()
            relay.wait_until(lambda: call(relay, "/accounts/consent/isp")["state"] == "done")
            call(relay, "/test-message", to="klant@example.net", lang="en")
            assert len(smarthost.wait_for(2)) == 2
            checked = call(relay, "/diagnose", check="auth", smarthost="isp")
            assert checked["document"]["accepted"], checked
            settings = call(relay, "/settings")
            assert settings["in_force"]


def test_the_relay_ends_while_somebody_should_consent_and_an_examination_runs(
    tmp_path: Path, authority: Authority, issuer: Issuer
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        relay = RelayProcess(tmp_path)
        port = silent.getsockname()[1]  # it never greets: the examiner waits
        add_consented(relay, port, authority.ca_file, issuer, datetime.now(UTC))
        with relay:
            assert call(relay, "/accounts/consent", name="isp")["state"] == "waiting"
            answers: list[int] = []
            waiting = threading.Thread(target=lambda: answers.append(_examine(relay)))
            waiting.start()
            relay.wait_until(lambda: bool(children(relay)))
            began = time.monotonic()
            assert relay.sigterm() == 0
            assert time.monotonic() - began < 15
            waiting.join(10)
        assert answers == [503]
        assert "Traceback" not in relay.stderr


def children(relay: RelayProcess) -> list[str]:
    """The processes that the relay started and that still run (Linux)."""
    assert relay._process is not None
    pid = relay._process.pid
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def _examine(relay: RelayProcess) -> int:
    try:
        call(relay, "/diagnose", check="connect", smarthost="isp")
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    return 200
