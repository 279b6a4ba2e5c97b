"""SIGKILL again and again in direct mode: a 250 arrives or is reported, a 5yz never arrives."""

import random
import smtplib  # noqa: TID251 - a client like any other
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from fakes.relay_process import RelayProcess
from fakes.script import Behaviour, Command
from fakes.smarthost import Smarthost

ROUNDS = 6
SENDERS = 3
SEED = 20261122
SENDER = "info@mijnbakkerij.nl"


class Senders:
    """Programs that each send one message after another, every second one to nobody."""

    def __init__(self, relay: RelayProcess) -> None:
        self._relay = relay
        self._stopped = threading.Event()
        self.taken: list[str] = []
        self.refused: list[str] = []
        self._threads = [
            threading.Thread(target=self._send, args=(number,)) for number in range(SENDERS)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _send(self, number: int) -> None:
        count = 0
        while not self._stopped.is_set():
            name = f"{'klant' if count % 2 else 'weg'}{number}-{count}@example.net"
            try:
                with smtplib.SMTP("127.0.0.1", self._relay.port, timeout=5) as client:
                    count += 1
                    client.sendmail(SENDER, [name], f"Subject: {name}\r\n\r\nx\r\n")
                    self.taken.append(name)
            except smtplib.SMTPDataError as error:
                if error.smtp_code >= 500:
                    self.refused.append(name)
            except (OSError, smtplib.SMTPException):
                time.sleep(0.02)  # noqa: TID251 - the relay is being killed and started


def is_gone(name: str) -> bool:
    """Nobody is there."""
    return name.startswith("weg")


def behaviour() -> Behaviour:
    """Refuses who is gone, and is so slow with some that the client's wait ends first."""

    def answer(command: Command) -> str | None:
        if "weg" not in command.argument:
            return None
        if "weg0-" in command.argument and "0@" in command.argument:
            time.sleep(1.5)  # noqa: TID251 - the slow server is the test
        return "550 5.1.1 mailbox unknown"

    return Behaviour(script={"RCPT": answer})


@pytest.mark.timeout(180)
def test_what_was_said_in_direct_mode_holds_after_being_killed(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    with Smarthost(behaviour()) as smarthost:
        tables = f"""
[[smarthost]]
name = "isp"
host = "127.0.0.1"
port = {smarthost.port}
tls = "none"
[delivery]
mode = "direct"
direct_wait = "1s"
"""
        relay = RelayProcess(tmp_path, tables)
        senders = Senders(relay)
        with relay:
            senders.start()
            try:
                for _ in range(ROUNDS):
                    time.sleep(chance.uniform(0.3, 1.0))  # noqa: TID251 - a moment to be hit
                    relay.kill9()
                    relay.start()
                relay.wait_until(lambda: any(map(is_gone, senders.taken)))
            finally:
                senders.stop()
            relay.retry_all()
            relay.wait_until(lambda: relay.queue() == [], timeout_seconds=60)
    reports = [one for one in smarthost.accepted if b"multipart/report" in one.content]
    mail = [one for one in smarthost.accepted if b"multipart/report" not in one.content]
    arrived = Counter(path.address for one in mail for path in one.recipients)
    taken, refused = set(senders.taken), set(senders.refused)
    assert len(taken) > 20
    assert len(refused) > 10
    assert not taken & refused
    gone = set(filter(is_gone, taken))
    assert taken - gone - set(arrived) == set(), "250, and it did not arrive"
    assert refused & set(arrived) == set(), "5yz, and it arrived"
    told = {name for name in gone if any(name.encode() in one.content for one in reports)}
    assert gone - told == set(), "250 for what failed, and no report of it"
