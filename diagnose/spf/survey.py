"""A domain's own record: what it holds, what it costs, what an address gets that is not listed."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

from diagnose.resolver import Resolver
from diagnose.spf import lookup
from diagnose.spf.evaluate import evaluate
from diagnose.spf.lookup import LookupFailed
from diagnose.spf.macro import Values
from diagnose.spf.outcome import LIMITS, Evaluation, Lookups
from diagnose.spf.record import Record, is_spf, parse
from diagnose.spf.term import RecordError

COUNTED_TO = Lookups(dns=40, void=20)  # far enough to say how many a record would need

_NOBODY = {4: "0.0.0.0", 6: "::"}


@dataclass(frozen=True, slots=True)
class Survey:
    """The record of a domain.

    `exists` is None where the lookup failed, with the `failure`. `texts` are its SPF records.
    `unlisted` is the evaluation of an address that no term names; `needs` what such an
    evaluation asks of the name server if nobody stops it, over IPv4 and over IPv6.
    """

    domain: str
    exists: bool | None
    texts: tuple[str, ...]
    unlisted: Evaluation
    needs: Lookups
    needs6: Lookups
    failure: str = ""

    @property
    def record(self) -> Record | None:
        """The one record, if there is one and it keeps the grammar."""
        if len(self.texts) != 1:
            return None
        try:
            return parse(self.texts[0])
        except RecordError:
            return None


async def survey(domain: str, resolver: Resolver) -> Survey:
    """Look at the record of `domain` (an ASCII name). Failures of DNS are part of the result."""
    exists: bool | None = None
    records: tuple[str, ...] = ()
    failure = ""
    try:
        found = await lookup.texts(resolver, domain)
        exists = found is not None
        records = tuple(text for text in found or () if is_spf(text))
    except LookupFailed as error:
        failure = str(error)
    return Survey(
        domain,
        exists,
        records,
        unlisted=await unlisted(domain, resolver),
        needs=(await unlisted(domain, resolver, COUNTED_TO)).lookups,
        needs6=(await unlisted(domain, resolver, COUNTED_TO, version=6)).lookups,
        failure=failure,
    )


async def unlisted(
    domain: str, resolver: Resolver, limits: Lookups = LIMITS, version: int = 4
) -> Evaluation:
    """The evaluation of an address that only `all` or a network of everybody matches."""
    values = Values(
        ip=ip_address(_NOBODY[version]),
        domain=domain,
        local_part="postmaster",
        sender_domain=domain,
        helo=domain,
    )
    return await evaluate(values, resolver, limits)
