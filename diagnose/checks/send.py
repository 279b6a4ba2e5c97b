"""A test message to its end: every step timed, every refused recipient apart."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from diagnose.account import Chosen
from diagnose.checks.auth import obstacle_to, steps_table, untold
from diagnose.dialogue import Dialogue, open_dialogue
from diagnose.finding import Document, Examination, Finding, Severity, Table
from diagnose.refusal import explained, no_connection, refusal
from diagnose.runner import Check, Circumstances, run_checks
from diagnose.wording import Language, finding, say
from presets.explain import Phase
from presets.reply import Reply
from relay.config.model import Config
from relay.control.documents import reply_document
from relay.envelope import Recipient
from relay.smarthost.connect import Connection
from relay.smarthost.exchange import ExchangeLost
from relay.smarthost.wire import DotStuffer, Outgoing, mail_line, rcpt_line

_PARTING_SECONDS = 5
_PIECE_BYTES = 65_536
_LEAST_BYTES_PER_SECOND = 10_000  # for the wait after the final dot
_CLOSING = 421

_PLACES = {
    Phase.MAIL: "send/sender-refused",
    Phase.RCPT: "send/recipient-refused",
    Phase.DATA: "send/message-refused",
    Phase.DOT: "send/message-refused",
}


@dataclass(frozen=True, slots=True)
class Mail:
    """A message ready to go."""

    sender: str
    recipients: tuple[str, ...]
    message_id: str
    content: bytes = field(repr=False)


@dataclass(slots=True)
class Result:
    """How the transaction went. `broken` tells why it did not come to its end."""

    refused: dict[str, tuple[Phase, Reply]] = field(default_factory=dict)
    accepted: tuple[str, ...] = ()
    final: Reply | None = None
    broken: str | None = None
    dot_sent: bool = False


async def examine_sending(
    chosen: Chosen, mail: Mail, circumstances: Circumstances, *, force: bool = False
) -> Examination:
    """Send `mail` through `chosen`, once. With `force` also where the relay has paused the account."""
    language = circumstances.language
    content: Document = {
        "steps": [],
        "accepted": [],
        "refused": [],
        "message_id": mail.message_id,
        "reply": None,
    }
    tables: list[Table] = []
    result = Result()

    async def send() -> list[Finding]:
        obstacle = await obstacle_to(chosen, circumstances, force=force)
        if obstacle is not None:
            return [_for_sending(obstacle, chosen, language)]
        dialogue = await open_dialogue(chosen.smarthost, chosen.hostname, circumstances)
        try:
            if dialogue.connection is not None:
                await _transact(dialogue, dialogue.connection, mail, circumstances, result)
        finally:
            content["steps"] = [step.document() for step in dialogue.steps]
            tables.append(steps_table(dialogue, language))
        if dialogue.failure is None:
            return []
        return [no_connection(dialogue, chosen, language), *untold(dialogue, chosen, language)]

    name = f"{chosen.smarthost.host}:{chosen.smarthost.port}"
    findings = await run_checks([Check(name, send)], circumstances)
    # Also of what the limit of the whole command cut off: somebody may have the message.
    content.update(_content(result, chosen, language))
    findings += _findings(result, mail, chosen, language)
    return Examination("send", chosen.target, [*chosen.findings, *findings], content, tables)


def _for_sending(obstacle: Finding, chosen: Chosen, language: Language) -> Finding:
    """Where the login needs a token of the relay's, the relay can still be given the message."""
    if obstacle.id != "token-needs-relay" or chosen.config is None:
        return obstacle
    step = say("send/through-relay", language, server=_listener(chosen.config))
    return replace(obstacle, remedy=(step, *obstacle.remedy))


def _listener(config: Config) -> str:
    """Where the relay takes mail on this machine."""
    if not config.listeners:
        return "HOST:PORT"
    host, port = config.listeners[0].host, config.listeners[0].port
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def _transact(
    dialogue: Dialogue,
    connection: Connection,
    mail: Mail,
    circumstances: Circumstances,
    result: Result,
) -> None:
    """One command after the other, so that each has a time of its own; then goodbye."""
    exchange, seconds = connection.exchange, circumstances.timeout_seconds
    try:
        if await _envelope(dialogue, connection, mail, seconds, result):
            await _content_of(dialogue, connection, mail, seconds, result)
    except ExchangeLost as error:
        parting = exchange.parting_reply
        result.broken = str(error) if parting is None else f"{error}: {dialogue.masked(parting)}"
    except BaseException:
        if result.dot_sent:
            result.broken = "given up"
        exchange.abort("given up")  # a QUIT might stand in the middle of the message
        raise
    await exchange.quit(min(seconds, _PARTING_SECONDS))


async def _envelope(
    dialogue: Dialogue, connection: Connection, mail: Mail, seconds: float, result: Result
) -> bool:
    """MAIL and RCPT; whether there is somebody to send to. Raises ExchangeLost."""
    exchange, capabilities = connection.exchange, connection.capabilities
    recipients = tuple(map(Recipient, mail.recipients))
    outgoing = Outgoing(
        reverse_path=mail.sender,
        recipients=recipients,
        size_bytes=len(mail.content),
        body_8bit=False,
        smtputf8=False,
        ret=None,
        envid=None,
    )
    said = exchange.command(mail_line(outgoing, capabilities), seconds)
    reply = await dialogue.play("mail", said)
    if not reply.positive:
        _refuse_all(result, mail, Phase.MAIL, reply)
        return False
    for recipient in recipients:
        said = exchange.command(rcpt_line(recipient, capabilities), seconds)
        reply = await dialogue.play("rcpt", said, recipient.address)
        if reply.code == _CLOSING:
            _refuse_all(result, mail, Phase.RCPT, reply)
            return False
        if not reply.positive:
            result.refused[recipient.address] = Phase.RCPT, reply
    return len(result.refused) < len(recipients)


async def _content_of(
    dialogue: Dialogue, connection: Connection, mail: Mail, seconds: float, result: Result
) -> None:
    """DATA, the message and the final dot. Raises ExchangeLost."""
    exchange = connection.exchange
    reply = await dialogue.play("data", exchange.command(b"DATA", seconds))
    if reply.code != 354:
        _refuse_all(result, mail, Phase.DATA, reply)
        return
    reply = await dialogue.play("end", _message(connection, mail, seconds, result))
    if reply.positive:
        result.final = reply
        result.accepted = tuple(each for each in mail.recipients if each not in result.refused)
    else:
        _refuse_all(result, mail, Phase.DOT, reply)


async def _message(connection: Connection, mail: Mail, seconds: float, result: Result) -> Reply:
    exchange, stuffer = connection.exchange, DotStuffer()
    for start in range(0, len(mail.content), _PIECE_BYTES):
        exchange.write(stuffer.feed(mail.content[start : start + _PIECE_BYTES]))
        await exchange.drain(seconds)
    exchange.write(stuffer.end(), replies=1)
    result.dot_sent = True
    return await exchange.reply(seconds + len(mail.content) / _LEAST_BYTES_PER_SECOND)


def _refuse_all(result: Result, mail: Mail, phase: Phase, reply: Reply) -> None:
    """The reply is about everybody who was not refused before."""
    result.refused |= {
        each: (phase, reply) for each in mail.recipients if each not in result.refused
    }


def _content(result: Result, chosen: Chosen, language: Language) -> Document:
    return {
        "accepted": list(result.accepted),
        "refused": [
            {
                "address": address,
                "reply": reply_document(reply),
                "explanation": explained(reply, phase, chosen, language),
            }
            for address, (phase, reply) in result.refused.items()
        ],
        "reply": reply_document(result.final),
    }


def _findings(result: Result, mail: Mail, chosen: Chosen, language: Language) -> list[Finding]:
    where = {"host": chosen.smarthost.host, "target": chosen.server}
    findings = []
    if result.final is not None:
        findings.append(
            finding(
                "send/accepted",
                Severity.OK,
                language,
                addresses=", ".join(result.accepted),
                reply=str(result.final),
                message_id=mail.message_id,
                **where,
            )
        )
    said: dict[tuple[Phase, Reply], list[str]] = {}
    for address, refused in result.refused.items():
        said.setdefault(refused, []).append(address)
    for (phase, reply), addresses in said.items():
        findings.append(
            refusal(
                _PLACES[phase],
                reply,
                phase,
                chosen,
                language,
                addresses=", ".join(addresses),
                sender=mail.sender,
                **where,
            )
        )
    if result.broken is not None:
        place = "send/in-doubt" if result.dot_sent else "send/broken"
        findings.append(
            finding(
                place,
                Severity.UNKNOWN,
                language,
                reason=result.broken,
                message_id=mail.message_id,
                **where,
            )
        )
    return findings
