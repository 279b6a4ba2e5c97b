"""The preset of a provider: servers, limits, sender rule, OAuth2, SPF, known replies."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

from presets.facts import Confidence as Confidence
from presets.facts import Fact as Fact
from presets.facts import Source as Source
from presets.facts import Sourced, Text

Tls = Literal["none", "starttls", "implicit"]
FlowKind = Literal["code", "device", "client-credentials", "service-account", "shared-mailbox"]

_BLANK = re.compile(r"<([^<>]+)>")
_FORMER_NAME = re.compile(r"\s*\([^()]*\)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Status(Sourced):
    """Whether the provider still exists.

    `state` begins with active, merged, discontinued, legacy or unclear. `merged_into` is the
    id of the preset that took over; `merged_note` is the source's wording where it says more.
    """

    state: str
    text: Text
    merged_into: str | None = None
    merged_note: str | None = None
    date: str | None = None

    @property
    def ended(self) -> bool:
        """Whether the provider was merged into another or stopped."""
        return self.state in ("merged", "discontinued")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint(Sourced):
    """A server that takes mail for sending on.

    `auth` lists the mechanisms in order of preference, "none" for no login. With
    `starttls_optional` the server offers STARTTLS and does not demand it.
    """

    host: str
    port: int
    tls: Tls
    auth: tuple[str, ...]
    username: str
    starttls_optional: bool = False
    preferred: bool = False
    note: str | None = None

    @property
    def blanks(self) -> tuple[str, ...]:
        """What the user must fill in before the host can be used: `NNNN` of `web<NNNN>.zxcs.nl`."""
        return tuple(_BLANK.findall(self.host))


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderRule(Sourced):
    """Which sender addresses the server takes after login.

    `must_match_account`: True, False, "rewritten" (the server puts the account's address in
    From), or None where it is not known. `see` names the preset the rule was taken from.
    """

    must_match_account: bool | Literal["rewritten"] | None
    send_as: Text | None = None
    note: Text | None = None
    auth_header: str | None = None
    see: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit(Sourced):
    """A limit; its name carries the unit where `value` holds a number.

    `also` holds further numbers of the same source (a trial, a paid plan), by name with unit;
    `note` the source's own words; `reading` how the number was read from them.
    """

    name: str
    value: int | None
    also: Mapping[str, int]
    note: str | None = None
    reading: str | None = None


@dataclass(frozen=True, slots=True)
class OtherInclude:
    """An SPF include that belongs in a record only in the case that `when` names."""

    name: str
    when: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Spf(Sourced):
    """What the SPF record of an own domain needs when the provider sends its mail.

    `needed`: False where nothing has to be added, None where it is not known. `own_address`:
    the address of the own line belongs in the record as well. `own_domain` is the source's own
    words. `seen_addresses` are outgoing addresses that were merely seen: never confirmed, and
    never to be put into a record.
    """

    needed: bool | None
    includes: tuple[str, ...]
    networks: tuple[str, ...]
    own_domain: str
    condition: Text | None = None
    other_includes: tuple[OtherInclude, ...] = ()
    own_address: bool = False
    seen_addresses: tuple[str, ...] = ()
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthFlow(Sourced):
    """A way to get a token; without `scopes` the provider's `OAuth2.scope` holds."""

    kind: FlowKind
    name: str
    scopes: tuple[str, ...] = ()
    scopes_note: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuth2:
    """OAuth2 for SMTP. `{tenant}` in an address stands for the tenant's id or one of `tenants`."""

    tenants: tuple[str, ...]
    facts: Mapping[str, Fact]
    flows: tuple[OAuthFlow, ...]

    def value(self, name: str) -> str | None:
        """The value of a fact, such as `token_endpoint`; None where there is none."""
        fact = self.facts.get(name)
        return fact.value if fact else None


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownReply(Sourced):
    """A refusal of this provider, as its documents or users quote it."""

    code: str
    text: str
    meaning: str
    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Legacy(Sourced):
    """What the seed document of `date` says. Kept to recognise old settings, not to be used."""

    server: str
    ip: str | None
    ports: tuple[int, ...]
    security: str | None
    note: str | None
    date: str

    @property
    def port(self) -> int | str | None:
        """The port, or the ports as the document writes them: `25 / 587`."""
        if len(self.ports) == 1:
            return self.ports[0]
        return " / ".join(str(port) for port in self.ports) or None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """All that is known of one provider. None and empty mean that nothing was found."""

    id: str
    name: str
    aliases: tuple[str, ...]
    country: str
    kind: str
    mail_domains: tuple[str, ...]
    offer_as_preset: bool
    offer_reason: str
    advice_text: Text
    gaps: tuple[str, ...]
    status: Status
    endpoints: tuple[Endpoint, ...]
    sender_rule: SenderRule
    limits: Mapping[str, Limit]
    spf: Spf | None
    dkim: Fact | None
    port25: Fact | None
    app_password: Fact | None
    password_end: Fact | None
    oauth2: OAuth2 | None
    errors: tuple[KnownReply, ...]
    legacy: Legacy | None

    @property
    def short_name(self) -> str:
        """The name without what stands in brackets behind it: `UPC (nu Ziggo)` is `UPC`."""
        return _FORMER_NAME.sub("", self.name)

    def endpoint(self, port: int | None = None) -> Endpoint | None:
        """The preferred endpoint, or the one at `port`: at the preferred host if it has one.

        None where there is none. Another host than the preferred one may belong to another
        region (Mailgun, Amazon SES), whose accounts differ.
        """
        best = next((end for end in self.endpoints if end.preferred), None)
        best = best or next(iter(self.endpoints), None)
        if best is None or port is None:
            return best
        at_port = [end for end in self.endpoints if end.port == port]
        same_host = (end for end in at_port if end.host == best.host)
        return next(same_host, next(iter(at_port), None))

    @property
    def password_ends(self) -> date | None:
        """The day from which a password logs nobody in by default; None if not known or not planned."""
        if self.password_end is None or self.password_end.value is None:
            return None
        return date.fromisoformat(self.password_end.value)

    def advice(self, language: str) -> str:
        """What to do, in one or two sentences."""
        return self.advice_text.get(language)

    def limit(self, name: str) -> int | None:
        """A limit by its name with unit, such as `messages_per_minute`; None if not known.

        An ordinary account stays within it; `limits` tells which case the number is for.
        """
        if (limit := self.limits.get(name)) is not None:
            return limit.value
        return next((it.also[name] for it in self.limits.values() if name in it.also), None)
