"""What of a spool is carried to another store, column by column; both stores name them alike.

Leases are not: nothing may be under way. Nor is what belongs to one store alone: the salt of its
sealed tokens, its nodes and their permits.
"""

from __future__ import annotations

from dataclasses import dataclass

ROWS_AT_ONCE = 500

OWN_SETTINGS = ("token_salt", "move_id", "made_by")
RECEIVED = "received:"
"""The setting of a store, before the id of a move, that says that it has all of it."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table; `flags` are true or false in PostgreSQL, 1 or 0 in SQLite.

    Where the target has a row with the same `key` the target's stays, with the columns in `adds`
    added up. Without a key that cannot be, and is an error.
    """

    name: str
    columns: tuple[str, ...]
    order: tuple[str, ...]
    flags: frozenset[str] = frozenset()
    key: tuple[str, ...] = ()
    adds: tuple[str, ...] = ()

    def conflict(self) -> str:
        """The end of an INSERT; both stores understand it."""
        if not self.key:
            return ""
        if not self.adds:
            return f"ON CONFLICT ({', '.join(self.key)}) DO NOTHING"
        sums = ", ".join(f"{each} = {self.name}.{each} + excluded.{each}" for each in self.adds)
        return f"ON CONFLICT ({', '.join(self.key)}) DO UPDATE SET {sums}"


def _columns(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_REPLY = "reply_code reply_enhanced reply_text"
_HOUR = _columns("accepted delivered failed bytes tls refused")
_USED = _columns("messages recipients transactions")

MAIL = (
    Table(
        "message",
        _columns(
            "id received_at expires_at client client_address reverse_path body_8bit smtputf8 ret"
            " envid bytes message_id subject is_dsn repairs in_doubt warned_at finished_at"
        ),
        ("id",),
        frozenset({"body_8bit", "smtputf8", "is_dsn"}),
    ),
    Table("body", ("message", "position", "bytes", "crc"), ("message", "position")),
    Table(
        "recipient",
        _columns(
            "message position address origin notify orcpt state lane pinned held_for"
            f" {_REPLY} settled_at"
        ),
        ("message", "position"),
    ),
    Table("queue", ("message", "lane", "due_at", "tries", "token"), ("message", "lane")),
    Table(
        "attempt",
        _columns(
            f"message lane token at seconds address phase recipients {_REPLY} outcome in_doubt"
        ),
        ("message", "id"),
        frozenset({"in_doubt"}),
    ),
)
"""The messages; read back after they were written."""

LEDGER = (
    Table("counted", ("message",), ("message",), key=("message",)),
    Table(
        "lane",
        _columns(
            f"name blocked_by blocked_until failures since cause {_REPLY} size_bytes host username"
            " max_recipients"
        ),
        ("name",),
        key=("name",),
    ),
    Table(
        "account",
        _columns(
            f"host username paused_at paused_until refusals secret_mark cause {_REPLY} arrival_at"
            " learned"
        ),
        ("host", "username"),
        key=("host", "username"),
    ),
    Table(
        "usage",
        ("host", "username", "minute", *_USED),
        ("host", "username", "minute"),
        key=("host", "username", "minute"),
        adds=_USED,
    ),
    Table("refused", ("address", "count", "first_at", "last_at"), ("address",), key=("address",)),
    Table("adopted", ("address", "name", "adopted_at"), ("address",), key=("address",)),
    Table(
        "sender_rule",
        ("smarthost", "sender", "address", "adopted_at"),
        ("smarthost", "sender"),
        key=("smarthost", "sender"),
    ),
    Table(
        "hour",
        ("hour", "client", "smarthost", *_HOUR),
        ("hour", "client", "smarthost"),
        key=("hour", "client", "smarthost"),
        adds=_HOUR,
    ),
    Table(
        "client_seen",
        ("client", "last_at", "tls"),
        ("client",),
        frozenset({"tls"}),
        key=("client",),
    ),
    Table("setting", ("name", "value"), ("name",), key=("name",)),
)
"""What is known beside them."""

EMPTIED = (*(table.name for table in (*MAIL, *LEDGER)), "token")
