"""The messages themselves, as a reader sees them: what the sandbox caught, or what waits.

Only where the owner said so: in the sandbox, where nothing is sent, or with `[web] show_bodies`.
A message that is finished has no body any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import TypeVar

from relay.config.model import Config
from relay.control.documents import Document, document, time_text
from relay.control.errors import Declined, Forbidden
from relay.message.html import harmless_html
from relay.message.reading import (
    MOST_BYTES,
    Part,
    Reading,
    TooMuch,
    harmless,
    read_headers,
    read_message,
)
from relay.spool.ids import id_number, id_text
from relay.spool.protocol import Spool
from relay.spool.view import MessageView

MOST_LISTED = 100
_MOST_RECIPIENTS = 5

T = TypeVar("T")


class Inbox:
    """Messages to be read. Each method may raise Forbidden, Declined and SpoolError.

    Whoever holds `turn` reads: one message at a time is in memory and taken apart.
    """

    def __init__(self, spool: Spool, config: Config, turn: asyncio.Lock) -> None:
        self._spool = spool
        self._config = config
        self._turn = turn

    async def listed(self, limit: int) -> Document:
        """The newest `limit` messages that wait, the newest first."""
        self._allowed()
        if not 1 <= limit <= MOST_LISTED:
            raise Declined(
                f"limit loopt van 1 tot {MOST_LISTED}", f"limit goes from 1 to {MOST_LISTED}"
            )
        newest = (await self._spool.queue.ids())[-limit:]
        found = [await self._entry(number) for number in reversed(newest)]
        return document("inbox", messages=[each for each in found if each is not None])

    async def shown(self, id_: str) -> Document | None:
        """One message taken apart; None where it is not there.

        Of one that is too large or too intricate only the headers, and why.
        """
        self._allowed()
        async with self._turn:
            view, data = await self._found(id_)
            if view is None or data is None:
                return None
            try:
                content = await asyncio.to_thread(lambda: _content(_taken_apart(data)))
            except TooMuch:
                headers = await asyncio.to_thread(read_headers, data)
                content = _headers_alone(headers)
        return document("inbox show", **self._about(view), **content)

    async def html(self, id_: str) -> str | None:
        """The HTML of a message, harmless; None where there is none."""
        return await self._part_of(id_, _harmless_html)

    async def attachment(self, id_: str, index: int) -> Part | None:
        """One attachment; None where there is none of that number."""

        def chosen(reading: Reading) -> Part | None:
            parts = reading.attachments
            return parts[index] if 0 <= index < len(parts) else None

        return await self._part_of(id_, chosen)

    async def _part_of(self, id_: str, choose: Callable[[Reading], T | None]) -> T | None:
        self._allowed()
        async with self._turn:
            _, data = await self._found(id_)
            if data is None:
                return None
            try:
                return await asyncio.to_thread(lambda: choose(_taken_apart(data)))
            except TooMuch:
                return None

    def _allowed(self) -> None:
        if not (self._config.sandbox or self._config.web.show_bodies):
            raise Forbidden(
                "de inhoud van berichten is hier niet te zien; zet show_bodies = true bij [web], als u dat wilt",
                "the content of messages is not shown here; set show_bodies = true at [web] if you want that",
            )

    async def _found(self, id_: str) -> tuple[MessageView | None, bytes | None]:
        """The message and its bytes, the first `MOST_BYTES` and a little more of them."""
        number = id_number(id_)
        view = None if number is None else await self._spool.queue.show(number)
        if view is None:
            return None, None
        pieces: list[bytes] = []
        size = 0
        async with contextlib.aclosing(self._spool.queue.body(view.id)) as body:  # type: ignore[type-var]
            async for piece in body:
                pieces.append(piece)
                size += len(piece)
                if size > MOST_BYTES:
                    break
        return view, b"".join(pieces) or None

    async def _entry(self, number: int) -> Document | None:
        view = await self._spool.queue.show(number)
        if view is None:
            return None
        subject = None
        async with contextlib.aclosing(self._spool.queue.body(number)) as body:  # type: ignore[type-var]
            async for piece in body:
                block = piece.partition(b"\r\n\r\n")[0]
                subject = next(
                    (value for name, value in read_headers(block) if name.lower() == "subject"),
                    None,
                )
                break
        return {**self._about(view), "subject": subject}

    def _about(self, view: MessageView) -> Document:
        addresses = [harmless(each.address) for each in view.recipients]
        return {
            "id": id_text(view.id),
            "received_at": time_text(view.received_at),
            "client": view.client,
            "sender": harmless(view.sender),
            "recipients": addresses[:_MOST_RECIPIENTS],
            "recipients_count": len(addresses),
            "size": view.bytes,
        }


def _taken_apart(data: bytes) -> Reading:
    return read_message(data, time.monotonic)


def _harmless_html(reading: Reading) -> str | None:
    if reading.html is None:
        return None
    images = {
        part.content_id: (part.type, part.content)
        for part in reading.attachments
        if part.content_id
    }
    return harmless_html(reading.html, images)


def _content(reading: Reading) -> Document:
    return {
        "headers": [list(each) for each in reading.headers],
        "text": reading.text,
        "has_html": reading.html is not None,
        "attachments": [
            {
                "index": index,
                "filename": part.filename,
                "type": part.type,
                "size": len(part.content),
            }
            for index, part in enumerate(reading.attachments)
        ],
        "problem": None,
    }


def _headers_alone(headers: tuple[tuple[str, str], ...]) -> Document:
    return {
        "headers": [list(each) for each in headers],
        "text": None,
        "has_html": False,
        "attachments": [],
        "problem": {
            "nl": f"te groot of te ingewikkeld om hier te tonen (boven {MOST_BYTES // 1_000_000} MB, of zeer veel delen); haal het op met relay queue export",
            "en": f"too large or too intricate to show here (over {MOST_BYTES // 1_000_000} MB, or very many parts); fetch it with relay queue export",
        },
    }
