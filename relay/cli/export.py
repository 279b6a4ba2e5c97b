"""Write messages of the queue into a directory."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from relay.control.documents import Document, document
from relay.control.errors import Declined

if TYPE_CHECKING:
    from relay.cli.ask import AnyDesk

_BINARY: int = getattr(os, "O_BINARY", 0)  # Windows would write every LF as CR LF


async def export_messages(
    desk: AnyDesk, ids: Sequence[str] | None, to: Path, language: str
) -> Document:
    """Each message as ID.eml, the exact bytes, and ID.json; None exports all that wait.

    A finished message has no bytes any more and is `unchanged`; a file that is there already
    stays, and its message counts as `existing`. Raises Declined: the directory cannot be used.
    """
    _make(to)
    if ids is None:
        ids = (await desk.queue_ids())["ids"]
    answer: dict[str, Any] = {"changed": [], "unchanged": [], "unknown": [], "existing": []}
    for id_ in dict.fromkeys(ids):
        shown = await desk.queue_show(id_, language)
        if "unknown" in shown:
            answer["unknown"].append(id_)
            continue
        try:
            written = await _write(desk, shown, to)
        except FileExistsError as error:
            answer["existing"].append(str(error.filename))
        else:
            answer["changed" if written else "unchanged"].append(shown["id"])
    return document("queue export", directory=str(to), **answer)


def _make(to: Path) -> None:
    try:
        to.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Declined(
            f"{to} is niet te gebruiken ({error.strerror}); noem een andere map met --to",
            f"{to} cannot be used ({error.strerror}); name another directory with --to",
        ) from error


async def _write(desk: AnyDesk, shown: Document, to: Path) -> bool:
    """False where the message's bytes are gone. Raises FileExistsError before it writes."""
    mail, envelope = to / f"{shown['id']}.eml", to / f"{shown['id']}.json"
    for path in (mail, envelope):
        if path.exists():
            raise FileExistsError(None, None, str(path))
    pieces = desk.queue_body(shown["id"])
    first = await anext(pieces, None)
    if first is None:
        return False
    file = _create(mail)
    try:
        with file:
            file.write(first)
            async for piece in pieces:
                file.write(piece)
    except BaseException:
        mail.unlink()  # half a message would pass for a whole one
        raise
    with _create(envelope) as file:
        file.write(json.dumps(shown, indent=2).encode())
    return True


def _create(path: Path) -> BinaryIO:
    """A new file that nobody else can read. Raises FileExistsError."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o600), "wb")
