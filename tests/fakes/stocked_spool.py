"""A spool with messages in it, and a desk over it, for tests of what operators see and do."""

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from relay.config.load import load
from relay.config.model import Config
from relay.control.daemon import Offline, Reloaded
from relay.envelope import Envelope, Recipient
from relay.spool.ids import id_text
from relay.spool.model import HeldFor, NewMessage, Placement
from relay.spool.protocol import Spool

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

TABLES = """
[[client]]
name = "kassa"
networks = ["192.168.1.20", "192.168.1.64/26"]

[[smarthost]]
name = "isp"
preset = "ziggo"
username = "bakker@ziggo.nl"
password = { file = "isp.secret" }

[[smarthost]]
name = "m365"
host = "127.0.0.1"
port = 2
tls = "none"

[[route]]
recipient = "*@elders.nl"
smarthost = ["m365", "isp"]
"""


def office_config(directory: Path, tables: str = TABLES, head: str = "") -> Config:
    """The configuration of an office, written below `directory`, its spool there too."""
    secret = directory / "isp.secret"
    secret.touch(0o600)
    secret.write_text("geheim\n")
    path = directory / "relay.toml"
    path.write_text(
        f'language = "en"\nhostname = "relay.test"\n{head}\n'
        f'[spool]\nurl = "sqlite://{directory}/spool.db"\nreserve_bytes = 1000\n{tables}'
    )
    return load(path, {})


async def add_message(
    spool: Spool,
    recipients: Sequence[str] = ("een@example.net",),
    *,
    held_for: HeldFor | None = None,
    lane: str = "isp",
    address: str = "192.168.1.20",
    body: bytes = b"Subject: hoi\r\n\r\nhallo\r\n",
) -> str:
    """Accept a message of the client kassa; its id."""
    number = spool.queue.new_id()
    writer = spool.queue.body_writer(number)
    await writer.write(body)
    message = NewMessage(
        id=number,
        received_at=NOON - timedelta(hours=1),
        expires_at=NOON + timedelta(days=5),
        client="kassa",
        client_address=address,
        envelope=Envelope("info@mijnbakkerij.nl", tuple(map(Recipient, recipients))),
        placements=(Placement(lane, held_for),) * len(recipients),
        message_id="<1@relay.test>",
        repairs=(("added-date", "Sat, 21 Nov 2026 12:00:00 +0000"),),
    )
    await spool.queue.accept(message, writer)
    return id_text(number)


def multiply(path: Path, times: int) -> None:
    """Of all messages of a spool that nobody has open only the first stays, so many times."""
    with closing(sqlite3.connect(path)) as connection:
        (first,) = connection.execute("SELECT min(id) FROM message").fetchone()
        for table in ("message", "body", "recipient", "queue"):
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            key = "id" if table == "message" else "message"
            kept = ", ".join(each for each in columns if each not in (key, "id"))
            connection.execute(f"DELETE FROM {table} WHERE {key} <> ?", (first,))
            connection.execute(
                f"INSERT INTO {table} ({key}, {kept}) SELECT {first} + value, {kept}"
                f" FROM {table}, json_each(?)",
                (json.dumps(list(range(1, times))),),
            )
        connection.commit()


class FakeDaemon(Offline):
    """A daemon that only notes what it is told."""

    def __init__(self, config: Config, spool: Spool) -> None:
        super().__init__(config, spool)
        self.calls: list[str] = []
        self.reloaded = Reloaded(applied=True)

    def mail_due(self) -> None:
        self.calls.append("mail_due")

    async def access_changed(self) -> None:
        self.calls.append("access_changed")

    async def sender_rules_changed(self) -> None:
        self.calls.append("sender_rules_changed")

    async def account_resumed(self, host: str, username: str) -> None:
        self.calls.append(f"account_resumed {username}")

    async def reload(self) -> Reloaded:
        return self.reloaded

    def live(self) -> dict[str, object]:
        return {"version": "1", "pid": 1, "started_at": "2026-11-21T12:00:00Z", "connections": 0}
