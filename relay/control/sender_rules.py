"""Sender rules adopted by hand: curing what is held for its sender, listing them, taking them back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from relay.config.fault import BadValueError
from relay.config.model import Config
from relay.config.syntax import mail_address
from relay.control.cures import Cure, cures
from relay.control.documents import Document, document, time_text
from relay.control.errors import Declined
from relay.control.queue_actions import QueueActions
from relay.delivery.outgoing import load
from relay.spool.ids import id_number, id_text
from relay.spool.ledger_entry import SenderRule
from relay.spool.model import HeldFor
from relay.spool.protocol import Spool
from relay.spool.view import MessageView


@dataclass(frozen=True, slots=True)
class Wish:
    """How to cure: as which address (None: the account's own), and for the sender's whole domain."""

    address: str | None = None
    domain: bool = False


@dataclass(frozen=True, slots=True)
class SenderRules:
    """The rules of one spool, by the configuration of this moment."""

    spool: Spool
    config: Config
    now: datetime

    async def listed(self) -> Document:
        """Every rule, and whether its smarthost still stands in the configuration."""
        rules = await self.spool.ledger.sender_rules()
        return document("sender list", rules=[self._document(rule) for rule in rules])

    async def remove(self, sender: str, smarthost: str | None) -> Document:
        """Take back the rules for `sender`, of one smarthost or of all."""
        removed = [
            rule
            for rule in await self.spool.ledger.sender_rules()
            if rule.sender == sender.strip().casefold() and smarthost in (None, rule.smarthost)
        ]
        for rule in removed:
            await self.spool.ledger.disown_sender(rule.smarthost, rule.sender)
        return document(
            "sender remove", sender=sender, removed=[self._document(rule) for rule in removed]
        )

    async def proposals(self, message: MessageView) -> list[Document]:
        """What would cure a message; nothing where it is not held for its sender."""
        return [cure.document() for cure in await self._cures(message, None)]

    async def adopt(self, id_: str, wish: Wish) -> Document:
        """Adopt the rules that cure one message; `released` is still empty.

        `reason` says why nothing was adopted: not-held, no-address, no-effect (it leaves as that
        address already), or null. Raises Declined: `wish.address` is none.
        """
        address = _address(wish.address)
        number = id_number(id_)
        message = None if number is None else await self.spool.queue.show(number)
        if message is None:
            return document("queue cure", unknown=[id_])
        found = await self._cures(message, address)
        content = document("queue cure", id=id_text(message.id), reason=None, released=[])
        content["cures"] = [cure.document() for cure in found]
        content["rules"] = []
        if not found:
            return {**content, "reason": "not-held"}
        if any(cure.remedy == "address" for cure in found):
            return {**content, "reason": "no-effect" if address else "no-address"}
        for cure in found:
            if cure.remedy == "adopt":
                content["rules"].append(self._document(await self._keep(cure, wish)))
        return content

    async def release(self, answer: Document) -> list[str]:
        """Release what the rules just adopted cure, the message that was asked about first."""
        number = id_number(answer["id"])
        adopted = {(rule["smarthost"], rule["sender"]) for rule in answer["rules"]}
        chosen = [] if number is None else [number]
        for other in await self.spool.queue.ids(HeldFor.SENDER) if adopted else ():
            message = await self.spool.queue.show(other)
            found = [] if message is None or other in chosen else await self._cures(message, None)
            if found and all(_released_by(cure, adopted) for cure in found):
                chosen.append(other)
        actions = QueueActions(self.spool, self.config, self.now)
        return await actions.release(chosen, HeldFor.SENDER)

    async def _cures(self, message: MessageView, address: str | None) -> list[Cure]:
        if not any(each.held_for is HeldFor.SENDER for each in message.recipients):
            return []
        loaded = await load(self.spool.queue, message.id)
        rules = await self.spool.ledger.sender_rules()
        return cures(self.config, rules, message, loaded.header if loaded else b"", address)

    async def _keep(self, cure: Cure, wish: Wish) -> SenderRule:
        """The rule that this cure asks for, adopted."""
        assert cure.sender is not None
        assert cure.address is not None
        ledger, smarthost, sender = self.spool.ledger, cure.smarthost.name, cure.sender.casefold()
        if wish.domain:
            await ledger.disown_sender(smarthost, sender)  # it would go before its domain's
            sender = f"*@{sender.rpartition('@')[2]}"
        rule = SenderRule(smarthost, sender, cure.address, self.now)
        await ledger.adopt_sender(rule)
        return rule

    def _document(self, rule: SenderRule) -> Document:
        return {
            "smarthost": rule.smarthost,
            "configured": rule.smarthost in {each.name for each in self.config.smarthosts},
            "sender": rule.sender,
            "address": rule.address,
            "adopted_at": time_text(rule.adopted_at),
        }


def _released_by(cure: Cure, adopted: set[tuple[str, str]]) -> bool:
    rule = cure.rule
    return (
        cure.remedy == "release" and rule is not None and (rule.smarthost, rule.sender) in adopted
    )


def _address(text: str | None) -> str | None:
    if text is not None and "*" in text:
        raise Declined(
            f"--as: {text!r} is een patroon; noem één adres",
            f"--as: {text!r} is a pattern; name one address",
        )
    try:
        return None if text is None else mail_address(text.strip())
    except BadValueError as error:
        raise Declined(f"--as: {error.nl}", f"--as: {error.en}") from None
