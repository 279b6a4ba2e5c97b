"""Whether an account may send as an address, by its provider's rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from diagnose.domain import Address
from presets.model import Preset

May = Literal["yes", "no", "rewritten", "unknown"]


@dataclass(frozen=True, slots=True)
class Permission:
    """The answer. `why` names the reason: a key of the texts of sender.

    `confirmed` False: the rule comes from a source that nobody can open, or a weak one.
    """

    may: May
    why: str
    confirmed: bool


def permission(address: Address, preset: Preset, username: str | None) -> Permission:
    """What the preset's sender rule says of `address`.

    Without `username` the account may be any that the provider gives out: an access provider
    has only accounts in its own mail domains, a hosting company those of its customers.
    """
    may, why = _by_rule(address, preset, username)
    return Permission(may, why, preset.sender_rule.confirmed)


def _by_rule(address: Address, preset: Preset, username: str | None) -> tuple[May, str]:
    rule = preset.sender_rule.must_match_account
    if rule is None:
        return "unknown", "rule-unknown"
    if rule is False:
        return "yes", "any-address"
    otherwise: tuple[May, str]
    otherwise = ("rewritten", "rewritten") if rule == "rewritten" else ("no", "must-match")
    if username is not None:
        return ("yes", "own-address") if _same(address, username) else otherwise
    if address.domain in preset.mail_domains:
        return "yes", "own-domain"
    if _only_own_domains(preset):
        return otherwise
    return "unknown", "rewritten-unless" if rule == "rewritten" else "which-account"


def _same(address: Address, username: str) -> bool:
    return str(address).casefold() == username.strip().casefold()


def _only_own_domains(preset: Preset) -> bool:
    """Whether no account there can be in a customer's domain: an access provider, free mail."""
    spf = preset.spf
    free_mail = preset.kind == "cloud" and (
        preset.sender_rule.must_match_account == "rewritten"
        or (spf is not None and spf.needed is False)
    )
    return bool(preset.mail_domains) and (preset.kind == "isp" or free_mail)
