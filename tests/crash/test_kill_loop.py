"""SIGKILL again and again while mail comes and goes: what got 250 arrives, and twice only in doubt."""

import random
import smtplib  # noqa: TID251 - a client like any other
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from fakes.relay_process import RelayProcess
from fakes.smarthost import Smarthost

ROUNDS = 6
SENDERS = 3
SEED = 20261121


class Senders:
    """Programs that each send one numbered message after another and note what got 250."""

    def __init__(self, relay: RelayProcess) -> None:
        self._relay = relay
        self._stopped = threading.Event()
        self.acknowledged: list[str] = []
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
            count += 1
            name = f"klant{number}-{count}@example.net"
            try:
                with smtplib.SMTP("127.0.0.1", self._relay.port, timeout=5) as client:
                    client.sendmail("info@mijnbakkerij.nl", [name], f"Subject: {name}\r\n\r\nx\r\n")
                    self.acknowledged.append(name)
            except (OSError, smtplib.SMTPException):
                time.sleep(0.02)  # noqa: TID251 - the relay is being killed and started


@pytest.mark.timeout(180)
def test_what_was_acknowledged_survives_being_killed(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    with Smarthost() as smarthost:
        plain = f'[[smarthost]]\nname = "isp"\nhost = "127.0.0.1"\nport = {smarthost.port}\ntls = "none"\n'
        relay = RelayProcess(tmp_path, plain)
        senders = Senders(relay)
        with relay:
            senders.start()
            try:
                for _ in range(ROUNDS):
                    time.sleep(chance.uniform(0.2, 0.8))  # noqa: TID251 - a moment to be hit
                    relay.kill9()
                    relay.start()
            finally:
                senders.stop()
            relay.retry_all()
            relay.wait_until(lambda: relay.queue() == [], timeout_seconds=60)
            arrived = Counter(
                path.address for each in smarthost.accepted for path in each.recipients
            )
            interrupted = relay.run(
                "queue", "list", "--json", "--state", "delivered", "--limit", "10000"
            ).json
    acknowledged = Counter(senders.acknowledged)
    assert len(acknowledged) > 20
    assert set(acknowledged) - set(arrived) == set()
    in_doubt = {
        message["recipients"][0]["address"]
        for message in interrupted["messages"]
        if message["in_doubt"]
    }
    assert {name for name, times in arrived.items() if times > 1} - in_doubt == set()
