"""`diagnose presets discover`: the settings for an address, and how each was found.

By the mail domain, else by the MX hosts, and by SRV (RFC 6186). No host is guessed, nothing is
dialled, and no credentials are asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from diagnose.domain import Address, dns_failed, existence
from diagnose.finding import Examination, Finding, Severity, Table
from diagnose.runner import Check, Circumstances, run_checks
from diagnose.spf.lookup import LookupFailed, hosts, lookup
from diagnose.spf.names import is_domain
from diagnose.wording import finding, say
from presets.catalog import catalog
from presets.model import Preset, Tls

T = TypeVar("T")

Way = Literal["mail-domain", "mx", "srv"]

_SERVICES: tuple[tuple[str, Tls], ...] = (("_submissions", "implicit"), ("_submission", "starttls"))
_LEAST_LABELS = 2
_MOST = 20


@dataclass(frozen=True, slots=True)
class Setting:
    """A server for the address. `by` is what led to it: the mail domain, an MX host, an SRV name."""

    way: Way
    by: str
    host: str
    port: int
    tls: Tls
    username: str
    preset: Preset | None = None

    def document(self) -> dict[str, Any]:
        return {
            "found_by": self.way,
            "evidence": self.by,
            "preset": self.preset.id if self.preset else None,
            "host": self.host,
            "port": self.port,
            "tls": self.tls,
            "username": self.username,
        }


async def examine(address: Address, circumstances: Circumstances) -> Examination:
    """The settings that are known for `address`, the surest first."""
    content: dict[str, Any] = {"settings": [], "mx": []}

    async def check() -> Sequence[Finding]:
        return await _check(address, circumstances, content)

    language = circumstances.language
    name = say("discover/check", language, domain=address.domain)
    found = await run_checks([Check(name, check)], circumstances)
    keys = ("found_by", "evidence", "preset", "host", "port", "tls", "username")
    rows = [[entry[key] for key in keys] for entry in content["settings"]]
    tables = [Table(tuple(say("discover/headings", language).split("|")), rows)] if rows else []
    return Examination("presets discover", str(address), found, content, tables)


async def _check(
    address: Address, circumstances: Circumstances, content: dict[str, Any]
) -> Sequence[Finding]:
    language = circumstances.language
    known = catalog().by_domain(address.domain)
    if known is not None:
        # The catalog is sure of it, and needs no DNS for it.
        preset = catalog().resolve(known.id).preset
        settings = [*_of_preset("mail-domain", address.domain, preset, address)]
        content["settings"] = [each.document() for each in settings]
        evidence = {"domain": address.domain, "id": preset.id, "name": preset.name}
        return [finding("discover/discover-domain", Severity.OK, language, **evidence)]
    wrong = await existence(address.domain, circumstances)
    if wrong is not None:
        return [wrong]
    found, mx, failures = await _ask(address, circumstances)
    content |= {"settings": [each.document() for each in found], "mx": list(mx)}
    findings = [dns_failed(failure, language) for failure in failures[:1]]
    return [*_about(address, found, mx, circumstances, failed=bool(failures)), *findings]


async def _ask(
    address: Address, circumstances: Circumstances
) -> tuple[list[Setting], tuple[str, ...], list[LookupFailed]]:
    """The settings by SRV and by MX, the MX hosts, and the questions without an answer."""
    resolver = circumstances.resolver()
    failures: list[LookupFailed] = []

    async def or_failed(asked: Awaitable[Sequence[T]]) -> Sequence[T]:
        try:
            return await asked
        except LookupFailed as failure:
            failures.append(failure)
            return ()

    by_srv = [or_failed(_by_srv(name, tls, address, circumstances)) for name, tls in _SERVICES]
    asked_mx = or_failed(hosts(resolver, address.domain))
    found, mx = await asyncio.gather(asyncio.gather(*by_srv), asked_mx)
    settings = [each for some in found for each in some]
    names = tuple(name.lower() for name in mx)
    for host in names[:_MOST]:
        for preset in presets_of_mx(host):
            if not any(each.preset is preset for each in settings):
                settings += _of_preset("mx", host, preset, address)
    return settings[:_MOST], names, failures


async def _by_srv(
    service: str, tls: Tls, address: Address, circumstances: Circumstances
) -> list[Setting]:
    """What the domain publishes for a service (RFC 6186 section 3.1). Raises LookupFailed."""
    name = f"{service}._tcp.{address.domain}"
    records = await lookup(circumstances.resolver(), name, "SRV") or ()
    ordered = sorted(records, key=lambda record: (record.priority, -record.weight))
    found = []
    for record in ordered:
        host = str(record.target).removesuffix(".").lower()
        if is_domain(host) and record.port:  # a lone dot: the service is not offered
            preset = _preset_at(host)
            found.append(Setting("srv", name, host, record.port, tls, str(address), preset))
    return found


def presets_of_mx(host: str) -> list[Preset]:
    """The presets whose servers, or SPF names, end most like the MX host; offered ones first."""
    best: list[Preset] = []
    longest = _LEAST_LABELS - 1
    for preset in catalog():
        if preset.status.ended or not preset.offer_as_preset or preset.endpoint() is None:
            continue
        length = max((_common(host, name) for name in _names(preset)), default=0)
        if length > longest:
            best, longest = [], length
        if length == longest and length >= _LEAST_LABELS:
            best.append(preset)
    return sorted(best, key=_likelihood)


def _names(preset: Preset) -> Iterator[str]:
    for end in preset.endpoints:
        if not end.blanks:
            yield end.host
    if preset.spf is not None:
        yield from preset.spf.includes


def _common(one: str, other: str) -> int:
    """How many labels two names share at their end."""
    pairs = zip(reversed(one.split(".")), reversed(other.split(".")), strict=False)
    count = 0
    for left, right in pairs:
        if left != right:
            break
        count += 1
    return count


def _likelihood(preset: Preset) -> tuple[bool, bool, str]:
    """First what wants a login, and what serves own domains more than its own mail domains."""
    end = preset.endpoint()
    return end is not None and "none" in end.auth, bool(preset.mail_domains), preset.id


def _preset_at(host: str) -> Preset | None:
    for preset in catalog():
        if not preset.status.ended and any(end.host == host for end in preset.endpoints):
            return preset
    return None


def _of_preset(way: Way, by: str, preset: Preset, address: Address) -> Iterator[Setting]:
    """The preferred endpoint of a preset; its host may have a blank to fill in."""
    end = preset.endpoint()
    if end is not None:
        whole = "full e-mail address" in end.username
        username = str(address) if whole else end.username
        yield Setting(way, by, end.host, end.port, end.tls, username, preset)


def _about(
    address: Address,
    found: Sequence[Setting],
    mx: Sequence[str],
    circumstances: Circumstances,
    *,
    failed: bool,
) -> list[Finding]:
    language = circumstances.language
    evidence: dict[str, object] = {"domain": address.domain, "mx": ", ".join(mx) or "-"}
    findings = []
    published = [each for each in found if each.way == "srv"]
    by_mx = list(
        dict.fromkeys(each.preset.id for each in found if each.way == "mx" and each.preset)
    )
    if published:
        first = published[0]
        server = f"{first.host}:{first.port}"
        findings.append(
            finding("discover/discover-srv", Severity.OK, language, **evidence, server=server)
        )
        if not (first.host == address.domain or first.host.endswith(f".{address.domain}")):
            findings.append(
                finding(
                    "discover/discover-foreign",
                    Severity.INFO,
                    language,
                    **evidence,
                    host=first.host,
                )
            )
    if by_mx:
        evidence |= {"ids": ", ".join(by_mx), "id": by_mx[0]}
        findings.append(finding("discover/discover-mx", Severity.OK, language, **evidence))
    if not found and not failed:
        findings.append(finding("discover/discover-nothing", Severity.ERROR, language, **evidence))
    return findings
