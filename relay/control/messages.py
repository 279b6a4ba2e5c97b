"""Messages sought and told whole: what the page shows beside the queue's own documents."""

from __future__ import annotations

from dataclasses import dataclass

from relay.config.model import Config, SenderPolicy
from relay.control.documents import Document, document, reply_document, time_text
from relay.control.errors import Declined
from relay.delivery.outgoing import load
from relay.delivery.reports import CLIENT
from relay.delivery.route import find_path, policy_and_place
from relay.delivery.sender_rule import SenderSettings, leave
from relay.spool.errors import BodyDamaged
from relay.spool.ids import id_number, id_text
from relay.spool.ledger_entry import SenderRule
from relay.spool.model import State
from relay.spool.protocol import Spool
from relay.spool.search import FoundMessage, Search
from relay.spool.view import MessageView

MOST_FOUND = 200
_LONGEST_TEXT = 200


@dataclass(frozen=True, slots=True)
class Sought:
    """A search as a person asks it; empty texts mean any. `before` is an id, `state` a slug."""

    text: str = ""
    recipient: str = ""
    sender: str = ""
    client: str = ""
    state: str = ""
    before: str = ""
    limit: int = 50


@dataclass(frozen=True, slots=True)
class Messages:
    """The messages of one spool, finished ones too."""

    spool: Spool
    config: Config

    async def found(self, sought: Sought) -> Document:
        """The newest messages that fit. `next` goes into `before` for older ones; null: no more.

        A page may be short though there are more: a search looks at a bounded number of messages.
        Raises Declined.
        """
        if not 1 <= sought.limit <= MOST_FOUND:
            raise Declined(
                f"limit loopt van 1 tot {MOST_FOUND}", f"limit goes from 1 to {MOST_FOUND}"
            )
        search = Search(
            text=_text("q", sought.text),
            recipient=_text("recipient", sought.recipient),
            sender=_text("sender", sought.sender),
            client=_text("client", sought.client),
            state=state(sought.state) if sought.state else None,
        )
        found = await self.spool.queue.search(search, _before(sought.before), sought.limit)
        return document(
            "messages",
            messages=[_found_document(each) for each in found.messages],
            next=None if found.next is None else id_text(found.next),
        )

    async def leaves(self, message: MessageView) -> list[Document]:
        """As whom a message leaves through each smarthost, by the configuration of this moment.

        What a finished message left as is not kept: of that it is what it would leave as now, and
        its own From is not known any more.
        """
        try:
            loaded = await load(self.spool.queue, message.id)
        except BodyDamaged:  # which is told elsewhere
            loaded = None
        header = loaded.header if loaded else b""
        rules = await self.spool.ledger.sender_rules()
        found: dict[tuple[str, SenderPolicy], Document] = {}
        for recipient in message.recipients:
            path = find_path(self.config, message.client, message.sender or None, recipient.address)
            if recipient.lane not in {each.name for each in self.config.smarthosts}:
                continue
            policy, place = policy_and_place(self.config, message.client, path, recipient.lane)
            if message.client == CLIENT and not message.sender:
                policy = SenderPolicy()  # our own report: only rules change its sender
            if (recipient.lane, policy) not in found:
                leaving = self._leaving(message, recipient.lane, policy, (header, rules))
                found[recipient.lane, policy] = {**leaving, "policy_place": place}
        return list(found.values())

    def _leaving(
        self,
        message: MessageView,
        lane: str,
        policy: SenderPolicy,
        known: tuple[bytes, tuple[SenderRule, ...]],
    ) -> Document:
        header, rules = known
        smarthost = self.config.smarthost(lane)
        settings = SenderSettings(self.config, policy, rules)
        leaving = leave(settings, smarthost, header, message.sender or None)
        sender = leaving.reverse_path or ""
        return {
            "smarthost": lane,
            "sender": sender,
            "rewritten": sender != message.sender,
            "changes": [change.value for change in leaving.changes],
            "policy": policy.policy.value,
            "rule": leaving.rule.sender if leaving.rule else None,
        }


def state(text: str) -> State:
    """The state of that name. Raises Declined."""
    try:
        return State(text)
    except ValueError:
        names = ", ".join(State)
        raise Declined(f"kies een toestand uit {names}", f"choose a state from {names}") from None


def _text(name: str, value: str) -> str | None:
    if len(value) > _LONGEST_TEXT:
        raise Declined(
            f"{name} is langer dan {_LONGEST_TEXT} tekens",
            f"{name} is longer than {_LONGEST_TEXT} characters",
        )
    return value.strip() or None


def _before(text: str) -> int | None:
    number = id_number(text) if text else None
    if text and number is None:
        raise Declined(
            "before is geen id; neem de waarde van next",
            "before is no id; take the value of next",
        )
    return number


def _found_document(message: FoundMessage) -> Document:
    return {
        "id": id_text(message.id),
        "received_at": time_text(message.received_at),
        "finished_at": time_text(message.finished_at),
        "client": message.client,
        "sender": message.sender,
        "recipients": list(message.recipients),
        "recipients_count": message.recipient_count,
        "subject": message.subject,
        "size": message.bytes,
        "state": message.state.value,
        "waiting_for": message.waiting_for,
        "in_doubt": message.in_doubt,
        "next_attempt_at": time_text(message.next_attempt_at),
        "last_reply": reply_document(message.last_reply),
    }
