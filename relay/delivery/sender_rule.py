"""As whom a message leaves through one smarthost: the configured policy, then adopted rules.

Computed at each attempt and never stored, so that a rule adopted now also cures what waits.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from relay.config.model import Config, PolicyKind, SenderPolicy, Smarthost
from relay.delivery.reports import null_path
from relay.message import headers
from relay.message.address_list import addresses
from relay.message.policy import Change, apply, matches
from relay.spool.ledger_entry import SenderRule


@dataclass(frozen=True, slots=True)
class SenderSettings:
    """What decides about the sender: the policy for this mail, and the adopted rules."""

    config: Config
    policy: SenderPolicy
    rules: Sequence[SenderRule] = ()


@dataclass(frozen=True, slots=True)
class Leaving:
    """The header and the reverse-path (None: null) with which a message leaves.

    `rule` is the adopted rule that took the place of the policy, None where none fits. Header and
    reverse-path by the policy alone are `policy_header` and `policy_path`.
    """

    header: bytes
    reverse_path: str | None
    changes: tuple[Change, ...]
    policy_header: bytes
    policy_path: str | None
    rule: SenderRule | None = None

    @property
    def authors(self) -> tuple[str, ...]:
        """The addresses of From by the policy alone."""
        return authors(self.policy_header)


def leave(
    settings: SenderSettings, smarthost: Smarthost, header: bytes, reverse_path: str | None
) -> Leaving:
    """The message as `smarthost` gets it.

    A rule that covers the reverse-path or an author forces its address on both, whatever the
    policy says: it was adopted because the policy's outcome had been refused. Where the smarthost
    takes no null reverse-path, the account's address stands for it.
    """
    kept = apply(header, reverse_path, settings.policy, smarthost.allowed_senders)
    path = kept.reverse_path or null_path(settings.config, smarthost)
    rule = None
    if settings.rules:
        senders = (*((path,) if path else ()), *authors(kept.header))
        rule = covering_rule(settings.rules, smarthost.name, senders)
    if rule is None:
        return Leaving(kept.header, path, kept.changes, kept.header, path)
    force = SenderPolicy(PolicyKind.FORCE, rule.address)
    forced = apply(header, reverse_path or path, force, ())
    return Leaving(forced.header, forced.reverse_path, forced.changes, kept.header, path, rule)


def authors(header: bytes) -> tuple[str, ...]:
    """Every address of every From."""
    return tuple(
        address for field in headers.named(header, b"From") for address in addresses(field.value)
    )


def covering_rule(
    rules: Sequence[SenderRule], smarthost: str, senders: Sequence[str]
) -> SenderRule | None:
    """The rule of that smarthost for one of `senders`; of several an address before a domain."""
    fitting = [
        rule
        for rule in rules
        if rule.smarthost == smarthost and any(matches(rule.sender, each) for each in senders)
    ]
    return min(fitting, key=lambda rule: (rule.sender.startswith("*"), rule.sender), default=None)
