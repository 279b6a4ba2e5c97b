"""The ways out of an alarm, each against its real other end."""

import asyncio
import json
import os
import shlex
import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from fakes.certificates import Authority
from fakes.smarthost import Behaviour, Smarthost
from fakes.webhook import WebhookServer

from relay.config import model
from relay.config.model import Alarm, AuthMethod, Config, Spool, TlsMode
from relay.delivery.dispatcher import Dispatcher
from relay.monitor import alarm_webhook
from relay.monitor.alarm_command import run
from relay.monitor.alarm_paths import AlarmPaths, Telling, Told
from relay.monitor.alarms import Notice, Stage
from relay.smarthost.connect import ConnectFailure, Connection, connect
from relay.spool.ledger_entry import PausedAccount
from relay.spool.sqlite import open_spool

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
NOTICE = Notice(
    Stage.RAISED,
    "smarthost-fails",
    "isp",
    {"smarthost": "isp", "reason": "weigert é"},
    NOW - timedelta(minutes=1),
)


def config(*alarms: Alarm, smarthosts: tuple[model.Smarthost, ...] = ()) -> Config:
    return Config(
        hostname="relay.test", spool=Spool("sqlite:///x"), smarthosts=smarthosts, alarms=alarms
    )


def account(server: Smarthost, name: str) -> model.Smarthost:
    return model.Smarthost(
        name=name,
        host="127.0.0.1",
        port=server.port,
        tls=TlsMode.NONE,
        allowed_senders=(f"{name}@mijnbakkerij.nl",),
    )


async def dial(smarthost: model.Smarthost) -> Connection | ConnectFailure | PausedAccount:
    return await connect(smarthost, "relay.test")


async def tell(paths: AlarmPaths, found: Config) -> list[Told]:
    return await paths.tell(Telling(NOTICE, found, NOW))


@pytest.fixture
def webhook() -> Iterator[WebhookServer]:
    with WebhookServer() as server:
        yield server


async def test_a_webhook_gets_the_alarm_as_json(webhook: WebhookServer) -> None:
    (told,) = await tell(AlarmPaths(dial), config(Alarm(webhook=webhook.url)))
    assert told == Told("webhook", "127.0.0.1")
    assert webhook.paths == ["/hook/geheim?a=b"]
    (content,) = webhook.received
    assert (content["stage"], content["kind"], content["subject"]) == (
        "raised",
        "smarthost-fails",
        "isp",
    )
    assert (content["since"], content["at"]) == ("2026-11-21T08:59:00Z", "2026-11-21T09:00:00Z")
    assert content["text"].startswith("[relay.test] ALARM: smarthost isp does not work")
    assert "weigert é" in content["text"]


@pytest.mark.parametrize("status", [302, 307, 404, 500])
async def test_a_redirect_or_an_error_is_a_failure(webhook: WebhookServer, status: int) -> None:
    webhook.status, webhook.location = status, webhook.url
    assert await alarm_webhook.post(webhook.url, {}) == f"HTTP {status}"
    assert len(webhook.received) == 1, "a redirect is not followed"


async def test_a_silent_webhook_is_given_up(
    webhook: WebhookServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alarm_webhook, "SECONDS", 0.3)
    webhook.silent.set()
    assert await alarm_webhook.post(webhook.url, {}) == "no answer within 0.3 seconds"


async def test_a_webhooks_certificate_is_verified(tmp_path: Path) -> None:
    known, foreign = Authority(tmp_path, "known"), Authority(tmp_path, "foreign")
    with WebhookServer(known.issue().server_context()) as server:
        assert await alarm_webhook.post(server.url, {}, known.client_context()) is None
        refusal = await alarm_webhook.post(server.url, {}, foreign.client_context())
        assert refusal is not None
        assert "CERTIFICATE_VERIFY_FAILED" in refusal
        assert len(server.received) == 1
    with WebhookServer(known.issue("elders.nl").server_context()) as server:
        refusal = await alarm_webhook.post(server.url, {}, known.client_context())
        assert "mismatch" in str(refusal)


async def test_plain_http_does_not_leave_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()

    async def resolved(*arguments: object, **named: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("203.0.113.9", 80))]

    monkeypatch.setattr(loop, "getaddrinfo", resolved)
    assert "plain http" in str(await alarm_webhook.post("http://intranet/hook", {}))


async def test_what_speaks_no_http_is_a_failure() -> None:
    async def blunt(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.net ESMTP\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(blunt, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        assert "no HTTP" in str(await alarm_webhook.post(f"http://127.0.0.1:{port}/", {}))


async def test_a_failing_path_is_logged_without_its_secret(
    webhook: WebhookServer, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    webhook.status = 500
    seen = tmp_path / "seen"
    command = (sys.executable, "-c", f"open({str(seen)!r}, 'w').write('x')")
    told = await tell(AlarmPaths(dial), config(Alarm(webhook=webhook.url), Alarm(command=command)))
    assert [(each.way, each.error) for each in told] == [("webhook", "HTTP 500"), ("command", "")]
    assert seen.exists(), "the other path is not kept from its work"
    assert "HTTP 500" in caplog.text
    assert "geheim" not in caplog.text


async def test_a_command_gets_the_alarm_on_stdin_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RELAY_SECRET", "geheim")
    out = tmp_path / "out"
    script = (
        "import json, os, sys;"
        f"open({str(out)!r}, 'w').write(json.dumps([json.load(sys.stdin), sys.argv[1:], dict(os.environ)]))"
    )
    (told,) = await tell(
        AlarmPaths(dial), config(Alarm(command=(sys.executable, "-c", script, "$HOME; x")))
    )
    assert told.error == ""
    content, arguments, environment = json.loads(out.read_text())
    assert content["kind"] == "smarthost-fails"
    assert arguments == ["$HOME; x"], "no shell reads it"
    assert "RELAY_SECRET" not in environment


async def test_a_command_that_fails_says_why() -> None:
    script = "import sys; sys.stderr.write('x' * 100_000 + ' geen\\x1b papier'); sys.exit(3)"
    error = await run((sys.executable, "-c", script), {})
    assert error is not None
    assert error.startswith("exit code 3: x")
    assert len(error) < 400
    assert error.isprintable()
    assert "No such file" in str(await run(("/nergens/te/vinden",), {}))


async def test_a_command_that_reads_nothing_has_not_failed() -> None:
    assert await run((sys.executable, "-c", "pass"), {"x": "y" * 1_000_000}) is None


async def test_a_command_that_has_ended_before_it_is_told_has_not_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As uvloop says it of a pipe that is closed already."""

    def closed(*_: object) -> None:
        raise RuntimeError("unable to perform operation; the handler is closed")

    from asyncio import unix_events

    monkeypatch.setattr(unix_events._UnixWritePipeTransport, "write", closed)
    assert await run(("true",), {"x": "y"}) is None


async def test_a_late_command_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    child = shlex.join([sys.executable, "-c", "import time; time.sleep(60)"])
    script = f"{child} & echo $! > {pids}; wait"
    assert "not ready" in str(await run(("/bin/sh", "-c", script), {}, seconds=1))
    pid = int(pids.read_text())
    async with asyncio.timeout(10):
        while _runs(pid):
            await asyncio.sleep(0.02)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


async def test_what_a_command_leaves_behind_does_not_keep_the_alarm() -> None:
    script = "echo hier; sleep 30 & exit 0"
    async with asyncio.timeout(10):
        assert await run(("/bin/sh", "-c", script), {}) is None


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets")
async def test_the_system_log_gets_a_line(tmp_path: Path) -> None:
    place = tmp_path / "log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(place))
        log.settimeout(10)
        (told,) = await tell(AlarmPaths(dial, system_log=place), config(Alarm(syslog=True)))
        assert told.error == ""
        line = log.recv(4096).decode()
    assert line.startswith(f"<17>relay[{os.getpid()}]: ALARM: smarthost isp")


async def test_without_a_system_log_the_path_fails(tmp_path: Path) -> None:
    (told,) = await tell(AlarmPaths(dial, system_log=tmp_path / "no"), config(Alarm(syslog=True)))
    assert "No such file" in told.error


async def test_mail_goes_straight_to_the_second_smarthost() -> None:
    with Smarthost() as first, Smarthost() as second:
        found = config(
            Alarm(mail_to="beheer@mijnbakkerij.nl", smarthost="reserve"),
            smarthosts=(account(first, "isp"), account(second, "reserve")),
        )
        (told,) = await tell(AlarmPaths(dial), found)
        assert told == Told("mail", "beheer@mijnbakkerij.nl")
        assert first.sessions == []
        (transaction,) = second.accepted
    assert transaction.sender.address == "reserve@mijnbakkerij.nl"
    assert [each.address for each in transaction.recipients] == ["beheer@mijnbakkerij.nl"]
    letter = message_from_bytes(transaction.content, policy=policy.default)
    assert letter["From"] == "reserve@mijnbakkerij.nl"
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter["Subject"].startswith("[relay.test] ALARM: smarthost isp does not work")
    assert "weigert é" in letter.get_content()


async def test_without_a_name_the_smarthost_that_it_is_about_comes_last() -> None:
    with Smarthost() as first, Smarthost() as second:
        found = config(
            Alarm(mail_to="beheer@mijnbakkerij.nl"),
            smarthosts=(account(first, "isp"), account(second, "reserve")),
        )
        await tell(AlarmPaths(dial), found)
        assert (len(first.accepted), len(second.accepted)) == (0, 1)


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "DOT"])
async def test_a_smarthost_that_refuses_leaves_it_to_another(verb: str) -> None:
    with Smarthost(Behaviour(script={verb: "550 5.7.1 no"})) as first, Smarthost() as second:
        found = config(
            Alarm(mail_to="beheer@mijnbakkerij.nl", smarthost="isp"),
            smarthosts=(account(first, "isp"), account(second, "reserve")),
        )
        (told,) = await tell(AlarmPaths(dial), found)
        assert told.error == ""
        assert len(second.accepted) == 1
        alone = replace(found, smarthosts=found.smarthosts[:1])
        (told,) = await tell(AlarmPaths(dial), alone)
        assert told.error == "isp: 550 5.7.1 no"


async def test_a_refused_login_pauses_the_account_and_is_tried_once(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.touch(0o600)
    secret.write_text("geheim")
    authority = Authority(tmp_path)
    behaviour = Behaviour(
        tls="starttls",
        context=authority.issue().server_context(),
        users={"bakker": "iets anders"},
    )
    spool = open_spool(tmp_path / "spool.db", lambda: NOW)
    with Smarthost(behaviour) as server:
        smarthost = replace(
            account(server, "isp"),
            tls=TlsMode.STARTTLS,
            ca_file=authority.ca_file,
            auth=AuthMethod.PASSWORD,
            username="bakker",
            password=model.SecretRef("file", str(secret)),
        )
        found = config(Alarm(mail_to="beheer@mijnbakkerij.nl"), smarthosts=(smarthost,))
        dispatcher = Dispatcher(found, spool, lambda: NOW, lambda: 0.5)
        await dispatcher.blocks.restore()
        for expected in ("535", "paused"):
            (told,) = await tell(AlarmPaths(dispatcher.dial), found)
            assert expected in told.error
        assert len(server.sessions) == 1
        (pause,) = await spool.ledger.paused()
        assert (pause.username, pause.refusals) == ("bakker", 1)
    await spool.close()


async def test_a_path_that_is_to_be_skipped_is_not_tried(webhook: WebhookServer) -> None:
    found = config(Alarm(webhook=webhook.url))
    telling = Telling(NOTICE, found, NOW)
    assert await AlarmPaths(dial).tell(telling, {("webhook", "127.0.0.1")}) == []
    assert webhook.received == []
