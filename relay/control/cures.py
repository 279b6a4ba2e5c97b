"""What would let a message leave that is held because its account may not send as its sender."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from relay.config.model import Config, SenderPolicy, Smarthost
from relay.config.syntax import account_address
from relay.control.documents import Document
from relay.delivery.reports import CLIENT
from relay.delivery.route import PolicyPlace, find_path, policy_and_place
from relay.delivery.sender_rule import Leaving, SenderSettings, leave
from relay.message.policy import is_allowed, matches
from relay.spool.ids import id_text
from relay.spool.ledger_entry import SenderRule
from relay.spool.model import HeldFor, Outcome
from relay.spool.view import AttemptView, MessageView, RecipientView

Remedy = Literal["adopt", "release", "address"]
"""adopt: a rule cures it; release: it leaves otherwise by now; address: none is known to send as."""

_LONGEST_ADDRESS = 320
_MOST_SHOWN_PATTERNS = 20


@dataclass(frozen=True, slots=True)
class Cure:
    """For the recipients of one message that one smarthost refused for their sender.

    `sender` is the address that was refused, None where every one is `address` itself. `address`
    is what the account may send as, None where nobody knows. `leaves_as` is the sender as it is
    now, adopted rules included.
    """

    message: int
    smarthost: Smarthost
    client: str
    policy: SenderPolicy
    place: PolicyPlace
    leaves_as: str
    sender: str | None
    address: str | None
    remedy: Remedy
    rule: SenderRule | None = None

    def document(self) -> Document:
        """As `queue show` tells it, with the command, and where it is known the lines of relay.toml."""
        id_ = id_text(self.message)
        command = {
            "adopt": f"relay queue cure {id_}",
            "release": f"relay queue release {id_}",
            "address": f"relay queue cure {id_} --as ADDRESS",
        }
        return {
            "smarthost": self.smarthost.name,
            "sender": self.sender,
            "address": self.address,
            "leaves_as": self.leaves_as,
            "remedy": self.remedy,
            "command": command[self.remedy],
            "config": snippet(self) if self.remedy == "adopt" else None,
        }


def cures(
    config: Config,
    rules: tuple[SenderRule, ...],
    message: MessageView,
    header: bytes,
    address: str | None = None,
) -> list[Cure]:
    """One for each smarthost and policy under which the message is held for its sender.

    `address` is what a person says that the account may send as.
    """
    found: dict[tuple[str, SenderPolicy], Cure] = {}
    for smarthost, recipient in _refused(config, message):
        path = find_path(config, message.client, message.sender or None, recipient.address)
        policy, place = policy_and_place(config, message.client, path, smarthost.name)
        if message.client == CLIENT and not message.sender:
            policy = SenderPolicy()  # our own report: only rules change its sender
        if (smarthost.name, policy) in found:
            continue
        settings = SenderSettings(config, policy, rules)
        leaving = leave(settings, smarthost, header, message.sender or None)
        attempt = _last_refusal(message, smarthost.name)
        target = address or own_address(smarthost)
        sender = _refused_sender(leaving, recipient, attempt, target)
        found[smarthost.name, policy] = Cure(
            message=message.id,
            smarthost=smarthost,
            client=message.client,
            policy=policy,
            place=place,
            leaves_as=_leaves_as(leaving),
            sender=sender,
            address=target,
            remedy=_remedy(leaving.rule, attempt, sender, (target, address is not None)),
            rule=leaving.rule,
        )
    return list(found.values())


def own_address(smarthost: Smarthost) -> str | None:
    """What the account may surely send as: its user name, else the first address that is allowed."""
    exact = (each for each in smarthost.allowed_senders if "*" not in each)
    return account_address(smarthost.username) or next(exact, None)


def snippet(cure: Cure) -> str:
    """The lines of relay.toml that cure it for good, at the table whose policy is in force."""
    assert cure.sender is not None
    assert cure.address is not None
    allowed = cure.smarthost.allowed_senders
    covered = is_allowed(cure.sender, allowed)
    kind, lines = "rewrite", [f"[[{cure.place}]]"]
    if cure.place == "client":
        lines.append(f"name = {_toml(cure.client)}")
    if cure.place in ("smarthost", "sender"):
        lines = ["[[smarthost]]", f"name = {_toml(cure.smarthost.name)}"]
        if covered:
            rest = [each for each in allowed if not matches(each, cure.sender)]
            known = [*rest[:_MOST_SHOWN_PATTERNS], cure.address]
            lines.append(f"allowed_senders = {_toml(list(dict.fromkeys(known)))}")
    elif covered:
        kind = "force"  # what the smarthost's list allows wrongly, rewrite would let pass
    bcc = f", bcc = {_toml(list(cure.policy.bcc))}" if cure.policy.bcc else ""
    lines.append(f'sender = {{ policy = "{kind}", address = {_toml(cure.address)}{bcc} }}')
    return "\n".join(lines)


def _refused(config: Config, message: MessageView) -> Iterator[tuple[Smarthost, RecipientView]]:
    smarthosts = {smarthost.name: smarthost for smarthost in config.smarthosts}
    for recipient in message.recipients:
        if recipient.held_for is HeldFor.SENDER and recipient.lane in smarthosts:
            yield smarthosts[recipient.lane], recipient


def _last_refusal(message: MessageView, smarthost: str) -> AttemptView | None:
    return next(
        (
            each
            for each in reversed(message.attempts)
            if each.smarthost == smarthost and each.outcome is Outcome.HELD
        ),
        None,
    )


def _leaves_as(leaving: Leaving) -> str:
    if leaving.rule is not None:
        return leaving.rule.address
    return next(iter(leaving.authors), leaving.policy_path or "")


def _refused_sender(
    leaving: Leaving, recipient: RecipientView, attempt: AttemptView | None, target: str | None
) -> str | None:
    """Which of the addresses it was about: one that the reply names, else by the phase."""
    envelope = (leaving.policy_path,) if leaving.policy_path else ()
    early = attempt is not None and attempt.phase in ("mail", "rcpt")
    order = (*envelope, *leaving.authors) if early else (*leaving.authors, *envelope)
    said = recipient.reply.text.casefold() if recipient.reply else ""
    others = [
        each
        for each in order
        if _adoptable(each) and (target is None or each.casefold() != target.casefold())
    ]
    named = (each for each in others if each.casefold() in said)
    return next(named, next(iter(others), None))


def _adoptable(address: str) -> bool:
    """A rule can be about it; a `*` in an address would be a pattern there."""
    return "*" not in address and address.isprintable() and len(address) <= _LONGEST_ADDRESS


def _remedy(
    rule: SenderRule | None,
    attempt: AttemptView | None,
    sender: str | None,
    target: tuple[str | None, bool],
) -> Remedy:
    """`target` is the address to send as, and whether a person gave it for this message."""
    address, given = target
    if rule is None and sender is None:
        return "release" if address is not None and not given else "address"
    if rule is None:
        return "adopt" if address is not None else "address"
    if given and sender is not None and address != rule.address:
        return "adopt"
    since = attempt is None or attempt.at < rule.adopted_at
    return "release" if since else "address"


def _toml(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)  # TOML reads these strings and arrays alike
