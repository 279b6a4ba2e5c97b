"""What would become of one mail: who is let in, as whom it leaves, and through which smarthost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from relay.access.address import Address
from relay.access.learning import may_learn
from relay.access.rules import AccessRules
from relay.config.model import Client, Config, DeliveryMode
from relay.control.documents import Document, document
from relay.delivery.route import Path, find_path, policy_and_place
from relay.delivery.sender_rule import SenderSettings, leave
from relay.intake.path import MailCommand, RcptCommand, Refusal, parse_mail, parse_rcpt
from relay.intake.replies import reply
from relay.message.policy import is_allowed
from relay.spool.ledger_entry import SenderRule


@dataclass(frozen=True, slots=True)
class Question:
    """One mail: from which machine, as whom (empty: the null sender), and to whom."""

    address: Address
    sender: str
    recipient: str | None = None


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the answer depends on beside the configuration."""

    rules: AccessRules
    learning_until: datetime | None = None
    blocked: frozenset[str] = frozenset()
    sender_rules: tuple[SenderRule, ...] = ()


def why(config: Config, now: datetime, at: Circumstances, question: Question) -> Document:
    """The document of `relay why`. `reply` is what the machine would get where it is refused."""
    client = at.rules.match(question.address)
    learning = client is None and bool(
        at.learning_until and now < at.learning_until and may_learn(question.address)
    )
    refusal = None if client or learning else _not_listed(config, question.address)
    refusal = refusal or _syntax(config, question)
    content = document(
        "why",
        address=str(question.address),
        sender=question.sender,
        recipient=question.recipient,
        accepted=refusal is None,
        reply=refusal,
        client=client.name if client else None,
        network=str(at.rules.explain(question.address)) if client else None,
        held_for=_held_for(config, learning) if refusal is None else None,
        direct_wait_seconds=_direct_wait_seconds(config),
        limits=_limits(config, client) if client else None,
        route=None,
        smarthosts=[],
    )
    if refusal is None:
        name = client.name if client else ""
        path = find_path(config, name, question.sender or None, question.recipient or "")
        content["route"] = path.rule
        content["smarthosts"] = [
            _smarthost(config, path, each, (name, question.sender), at) for each in path.smarthosts
        ]
    return content


def _not_listed(config: Config, address: Address) -> str:
    return _line(reply("not-listed", config.language, address=address))


def _syntax(config: Config, question: Question) -> str | None:
    """The refusal of MAIL or RCPT where an address cannot be one."""
    sender, recipient = question.sender, question.recipient
    parsed: MailCommand | RcptCommand | Refusal = parse_mail(
        _bytes(f"FROM:<{sender}>{'' if sender.isascii() else ' SMTPUTF8'}"),
        smtputf8_allowed=True,
        lenient=True,
    )
    if not isinstance(parsed, Refusal) and recipient is not None:
        parsed = parse_rcpt(_bytes(f"TO:<{recipient}>"), smtputf8_allowed=True, lenient=True)
    if not isinstance(parsed, Refusal):
        return None
    return _line(reply(parsed.slug, config.language, detail=parsed.detail))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")  # as a command line may hold anything


def _line(answer: bytes) -> str:
    return answer.decode("ascii").rstrip()


def _held_for(config: Config, learning: bool) -> str | None:
    if config.sandbox:
        return "sandbox"
    if learning:
        return "learning"
    return "trial" if config.delivery.mode is DeliveryMode.HOLD else None


def _direct_wait_seconds(config: Config) -> float | None:
    """How long the machine waits for the smarthost's own verdict; None: not in this mode."""
    direct = config.delivery.mode is DeliveryMode.DIRECT
    return config.delivery.direct_wait.total_seconds() if direct else None


def _limits(config: Config, client: Client) -> Document:
    largest = max(listener.max_message_bytes for listener in config.listeners)
    return {
        "max_connections": client.max_connections,
        "max_message_bytes": min(largest, client.max_message_bytes or largest),
        "messages_per_minute": client.messages_per_minute,
        "max_recipients": max(listener.max_recipients for listener in config.listeners),
        "require_tls": client.require_tls,
    }


def _smarthost(
    config: Config, path: Path, name: str, mail: tuple[str, str], at: Circumstances
) -> Document:
    client, sender = mail
    smarthost = config.smarthost(name)
    policy, place = policy_and_place(config, client, path, name)
    header = b"From: " + _bytes(sender) + b"\r\n" if sender else b""
    settings = SenderSettings(config, policy, at.sender_rules)
    leaves = leave(settings, smarthost, header, sender or None)
    leaves_as = leaves.reverse_path or ""
    allowed = bool(leaves.rule) or not leaves_as or is_allowed(leaves_as, smarthost.allowed_senders)
    return {
        "name": name,
        "host": smarthost.host,
        "port": smarthost.port,
        "username": smarthost.username,
        "blocked": name in at.blocked,
        "policy": policy.policy.value,
        "policy_place": place,
        "sender_rule": leaves.rule.sender if leaves.rule else None,
        "sender": leaves_as,
        "sender_allowed": allowed,
        "changes": [change.value for change in leaves.changes],
        "bcc": list(policy.bcc),
        "messages_per_minute": smarthost.messages_per_minute,
        "messages_per_day": smarthost.messages_per_day,
        "recipients_per_day": smarthost.recipients_per_day,
        "max_recipients": smarthost.max_recipients,
    }
