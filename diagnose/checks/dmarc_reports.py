"""Where DMARC reports go, and whether that place takes them (RFC 9990 section 4)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Literal

from diagnose.blocking import in_thread
from diagnose.checks.dmarc_policy import Policy
from diagnose.runner import Circumstances
from diagnose.spf.lookup import LookupFailed, texts

_MOST_URIS = 10
_LOADING_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Destination:
    """One address of rua or ruf. `authorisation` is the name where a foreign domain says yes."""

    tag: str
    uri: str
    state: Literal["own", "authorised", "refused", "unknown", "bad"]
    authorisation: str | None = None

    def document(self) -> dict[str, str | None]:
        return {"tag": self.tag, "uri": self.uri, "state": self.state}


async def destinations(policy: Policy, circumstances: Circumstances) -> list[Destination]:
    """All addresses for reports, at most ten, each with what its domain says."""
    uris = [
        (tag, uri.strip())
        for tag in ("rua", "ruf")
        for uri in policy.tags.get(tag, "").split(",")
        if uri.strip()
    ][:_MOST_URIS]
    if not uris:
        return []
    seconds = circumstances.timeout_seconds + _LOADING_SECONDS
    parsed = await in_thread(lambda: [_parse(uri, policy.location) for _, uri in uris], seconds)
    asked = (
        _destination(tag, uri, domain, policy.location, circumstances)
        for (tag, uri), domain in zip(uris, parsed, strict=True)
    )
    return list(await asyncio.gather(*asked))


def _parse(uri: str, location: str) -> str | None:
    """The foreign domain that gets the reports, "" for one of the same owner, None for no URI."""
    from checkdmarc import dmarc, utils

    try:
        parsed = dmarc.parse_dmarc_report_uri(uri)
    except dmarc.DMARCError:
        return None
    if parsed["scheme"].lower() != "mailto":
        return ""  # receivers need not know it, and nobody has to agree
    domain = str(parsed["address"]).rpartition("@")[2].lower()
    same_owner = utils.get_base_domain(domain) == utils.get_base_domain(location)
    return "" if same_owner else domain


async def _destination(
    tag: str, uri: str, domain: str | None, location: str, circumstances: Circumstances
) -> Destination:
    if domain is None:
        return Destination(tag, uri, "bad")
    if not domain:
        return Destination(tag, uri, "own")
    name = f"{location}._report._dmarc.{domain}"
    try:
        found = await texts(circumstances.resolver(), name) or ()
    except LookupFailed:
        return Destination(tag, uri, "unknown", name)
    agreed = any(text.replace(" ", "").startswith("v=DMARC1") for text in found)
    return Destination(tag, uri, "authorised" if agreed else "refused", name)
