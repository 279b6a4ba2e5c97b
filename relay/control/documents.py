"""Values as the documents of schema relay/1: what commands print and the API answers.

Ids are opaque strings, times RFC 3339 in UTC, states and other slugs are never translated.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from presets.explain import Phase, explain, judge
from presets.reply import Reply
from presets.verdict import Scope
from relay.config.model import Client, Config
from relay.spool.ids import id_text
from relay.spool.ledger_entry import AdoptedDevice, Block, PausedAccount, RefusedDevice
from relay.spool.statistics import Failure, History
from relay.spool.view import AttemptView, MessageView, RecipientView

Document = dict[str, Any]

SCHEMA = "relay/1"
_PHASES = frozenset(Phase)


def document(command: str, **content: object) -> Document:
    """A document of this schema about one command."""
    return {"schema": SCHEMA, "command": command, **content}


def time_text(at: datetime | None) -> str | None:
    """RFC 3339 in UTC with a Z, to the millisecond (RFC 3339 section 5.6)."""
    if at is None:
        return None
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def reply_document(reply: Reply | None) -> Document | None:
    """`code` 0 is a text that came without a reply code, such as a failed connection's."""
    if reply is None:
        return None
    return {"code": reply.code, "enhanced": reply.enhanced, "text": reply.text}


def explanation_document(
    reply: Reply | None, provider: str | None, phase: str | None, language: str
) -> Document | None:
    """What a reply means and what to do; None where there is none, or it was positive."""
    if reply is None or reply.positive:
        return None
    known = Phase(phase) if phase in _PHASES else None
    found = explain(reply, provider=provider, phase=known, language=language)
    if not reply.code and found.scope is Scope.UNKNOWN:
        return None  # our own words for what happened: they are the explanation
    return {
        "cause": found.cause,
        "scope": found.scope.value,
        "retry": found.retry.value,
        "provider": found.provider,
        "meaning": found.meaning,
        "steps": list(found.steps),
    }


def message_document(message: MessageView) -> Document:
    """A message as `queue list` tells it."""
    return {
        "id": id_text(message.id),
        "state": message.state.value,
        "waiting_for": message.waiting_for,
        "in_doubt": message.in_doubt,
        "leased": message.leased,
        "received_at": time_text(message.received_at),
        "client": message.client,
        "sender": message.sender,
        "bytes": message.bytes,
        "next_attempt_at": time_text(message.next_attempt_at),
        "recipients": [_recipient(recipient) for recipient in message.recipients],
    }


def full_message_document(message: MessageView, config: Config, language: str) -> Document:
    """A message as `queue show` tells it: with its attempts explained, and its repairs."""
    content = message_document(message)
    for shown, recipient in zip(content["recipients"], message.recipients, strict=True):
        shown["smarthost"] = recipient.lane or None
        shown["held_for"] = recipient.held_for.value if recipient.held_for else None
    return {
        **content,
        "client_address": message.client_address,
        "message_id": message.message_id,
        "subject": message.subject,
        "attempts": [_attempt(attempt, config, language) for attempt in message.attempts],
        "repairs": [{"repair": slug, "detail": detail} for slug, detail in message.repairs],
    }


def provider_of(config: Config, smarthost: str) -> str | None:
    """The preset of a smarthost, None where it has none or is configured no more."""
    return next((each.preset for each in config.smarthosts if each.name == smarthost), None)


def client_document(client: Client, source: str) -> Document:
    """A client with its limits; `source` is file, default or adopted."""
    return {
        "name": client.name,
        "source": source,
        "networks": [str(network) for network in client.networks],
        "any_login": client.any_login,
        "require_tls": client.require_tls,
        "max_connections": client.max_connections,
        "max_message_bytes": client.max_message_bytes,
        "messages_per_minute": client.messages_per_minute,
    }


def adopted_document(device: AdoptedDevice) -> Document:
    """A device that was allowed by hand."""
    return {
        "address": device.address,
        "name": device.name,
        "adopted_at": time_text(device.adopted_at),
    }


def refused_document(device: RefusedDevice) -> Document:
    """A device that was turned away."""
    return {
        "address": device.address,
        "count": device.count,
        "first_at": time_text(device.first_at),
        "last_at": time_text(device.last_at),
    }


def block_document(block: Block | None) -> Document:
    """Why a smarthost waits; all null where it does not."""
    return {
        "blocked_by": block.by.value if block else None,
        "blocked_until": time_text(block.until) if block else None,
        "blocked_since": time_text(block.since) if block else None,
        "failures": block.failures if block else 0,
        "cause": block.cause if block else None,
        "reply": reply_document(block.reply) if block else None,
    }


def history_document(history: History, provider: str | None) -> Document:
    """Until when a smarthost took mail, and the first refusal since that is not about one message.

    `worked_until` is null where no delivery is remembered, `failing_since` where none failed since.
    """
    failures = (each for each in history.failures if not _of_one_message(each, provider))
    first = next(failures, None)
    failure: Document | None = None
    if first is not None:
        failure = {
            "at": time_text(first.at),
            "phase": first.phase,
            "address": first.address,
            "reply": reply_document(first.reply),
        }
    return {
        "worked_until": time_text(history.delivered_at),
        "worked_address": history.address,
        "failing_since": failure["at"] if failure else None,
        "first_failure": failure,
    }


def _of_one_message(failure: Failure, provider: str | None) -> bool:
    """Says nothing about the smarthost: an unknown recipient, a message that is too large."""
    reply = failure.reply
    if reply is None or not reply.code:
        return False
    phase = Phase(failure.phase) if failure.phase in _PHASES else None
    scope = judge(reply, provider=provider, phase=phase).scope
    # X.7.X is security and policy (RFC 3463 section 3.8), such as SPF: that meets every message.
    policy = (reply.enhanced or "").split(".")[1:2] == ["7"]
    if scope is Scope.RECIPIENT:
        return phase is not Phase.MAIL  # there no recipient has been named yet
    return scope is Scope.MESSAGE and not policy


def pause_document(account: PausedAccount | None) -> Document:
    """Why an account is paused; all null where it is not."""
    return {
        "paused_at": time_text(account.at) if account else None,
        "paused_until": time_text(account.until) if account else None,
        "refusals": account.refusals if account else 0,
        "cause": account.cause if account else None,
        "reply": reply_document(account.reply) if account else None,
    }


def _recipient(recipient: RecipientView) -> Document:
    return {
        "address": recipient.address,
        "state": recipient.state.value,
        "origin": recipient.origin,
        "reply": reply_document(recipient.reply),
    }


def _attempt(attempt: AttemptView, config: Config, language: str) -> Document:
    provider = provider_of(config, attempt.smarthost)
    return {
        "at": time_text(attempt.at),
        "seconds": attempt.seconds,
        "smarthost": attempt.smarthost,
        "address": attempt.address,
        "phase": attempt.phase,
        "recipients": list(attempt.recipients),
        "reply": reply_document(attempt.reply),
        "outcome": attempt.outcome.value if attempt.outcome else None,
        "in_doubt": attempt.in_doubt,
        "explanation": explanation_document(attempt.reply, provider, attempt.phase, language),
    }
