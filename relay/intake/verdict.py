"""Direct mode: the smarthost's verdict on a message, as the reply to the client that waited."""

import unicodedata
from collections.abc import Sequence

from presets.explain import explain
from presets.reply import Reply
from relay.config.model import Language
from relay.delivery.direct import Ending, Verdict, Waiting, Word
from relay.delivery.reports import Report
from relay.intake.connection import Connection
from relay.intake.context import Intake
from relay.intake.replies import reply
from relay.intake.trouble import refused_by
from relay.monitor import mail_log
from relay.spool.errors import SpoolError
from relay.spool.ids import id_text
from relay.spool.model import NewMessage

_LINE_BYTES = 512  # RFC 5321 section 4.5.3.1.5, with the line ending
_ADDRESSES_CHARACTERS = 100
_WORDS_CHARACTERS = 150
_MEANING_CHARACTERS = 250
_QUOTES_AND_DASHES = str.maketrans("\u2018\u2019\u201c\u201d\u2013\u2014", "''\"\"--")


async def answer_with_verdict(
    connection: Connection, message: NewMessage, waiting: Waiting
) -> bytes:
    """The reply line for a message in the spool whose client waits, to be sent without delay.

    5yz stands for a failure that is recorded and that nobody else is told of; with any other reply
    every report that is due has been stored.
    """
    verdict = await connection.verdict(waiting)
    intake, language = connection.intake, connection.language
    if verdict.ending is Ending.UNRECORDED:
        return reply("busy", language)
    if verdict.ending is Ending.REFUSED and not connection.left:
        line = refusal(verdict, id_text(message.id), language)
        client = connection.admission.client.name
        mail_log.refused(connection.peer, _text(line), client=client, message=message.id)
        return line
    try:
        await _report(intake, message, verdict.owed)
    except SpoolError as error:
        refused = refused_by(error)
        return reply(refused.slug, language, **refused.details)
    return acceptance(verdict, id_text(message.id), language)


async def _report(intake: Intake, message: NewMessage, owed: Sequence[Report]) -> None:
    """Send what the client was not told by mail after all. Raises SpoolError."""
    for report, content in owed:
        body = intake.spool.queue.body_writer(report.id)
        await body.write(content)
        await intake.spool.queue.accept(report, body)
        mail_log.dsn(report.id, message.id, "report", report.envelope.recipients[0].address)
        intake.accepted({place.lane for place in report.placements})


def refusal(verdict: Verdict, message_id: str, language: Language) -> bytes:
    """The smarthost's 5yz: code and addresses, what it means and what to do, its own words.

    Where the refusals differ the first one is told, and where to find the others.
    """
    first = verdict.words[0]
    alike = [word for word in verdict.words if word.reply == first.reply]
    said = first.reply or Reply(554, None, "")
    enhanced = said.enhanced if (said.enhanced or "").startswith("5") else "5.0.0"
    explanation = explain(
        said, provider=first.smarthost.preset, phase=first.phase, language=language
    )
    head = f"{said.code} {enhanced} {_addresses(alike)}: "
    tail = (
        ""
        if first.said_here
        else f" ({first.smarthost.host}: {_cut(said.text, _WORDS_CHARACTERS)})"
    )
    if len(alike) < len(verdict.words):
        tail += f"; +{len(verdict.words) - len(alike)}: relay queue show {message_id}"
    head, tail = _ascii(head), _ascii(tail)
    told = _ascii(" ".join((explanation.meaning, *explanation.steps)))
    told = _cut(told, _LINE_BYTES - 2 - len(head) - len(tail))
    return (head + told + tail).encode() + b"\r\n"


def acceptance(verdict: Verdict, message_id: str, language: Language) -> bytes:
    """The 250 of a message that was delivered, or that the relay goes on with."""
    words = verdict.words
    if verdict.ending is Ending.DELIVERED:
        host, said = words[0].smarthost.host, str(words[0].reply)
        said = _cut(_ascii(said), _WORDS_CHARACTERS)
        return reply("accepted-direct", language, id=message_id, host=host, words=said)
    if verdict.ending is Ending.PARTLY:
        refused = [word for word in words if word.state == "failed"]
        addresses = _ascii(_addresses(refused))
        return reply("accepted-partly", language, id=message_id, addresses=addresses)
    if verdict.ending is Ending.HELD:
        held = next(word for word in words if word.state == "held")
        return reply("accepted-held", language, id=message_id, meaning=_meaning(held, language))
    return reply("accepted-queued", language, id=message_id)


def _meaning(word: Word, language: Language) -> str:
    if word.reply is None:
        return ""
    explanation = explain(
        word.reply, provider=word.smarthost.preset, phase=word.phase, language=language
    )
    return _cut(_ascii(explanation.meaning), _MEANING_CHARACTERS)


def _addresses(words: Sequence[Word]) -> str:
    """The first few addresses and how many more there are."""
    shown: list[str] = []
    for word in words:
        if shown and len(", ".join([*shown, word.address])) > _ADDRESSES_CHARACTERS:
            break
        shown.append(_cut(word.address, _ADDRESSES_CHARACTERS))
    more = len(words) - len(shown)
    return ", ".join(shown) + (f" (+{more})" if more else "")


def _cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else text[: characters - 3].rstrip() + "..."


def _ascii(text: str) -> str:
    """Letters without their accents; whatever else is not ASCII becomes a question mark."""
    plain = unicodedata.normalize("NFKD", text.translate(_QUOTES_AND_DASHES))
    bare = "".join(char for char in plain if not unicodedata.combining(char))
    return bare.encode("ascii", "replace").decode()


def _text(line: bytes) -> str:
    return line.decode("ascii").strip()
