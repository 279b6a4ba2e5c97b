"""A second opinion on an SPF record that cannot be read: what checkdmarc says of its syntax.

It blocks and takes half a second to load, so it is asked only about a record with a fault.
"""

from __future__ import annotations

from collections.abc import Sequence

from diagnose.blocking import in_thread
from diagnose.finding import Document, Finding, Severity
from diagnose.runner import Circumstances
from diagnose.wording import finding


async def syntax_advice(
    domain: str, found: Sequence[Finding], keys: Document, circumstances: Circumstances
) -> tuple[Finding, ...]:
    """checkdmarc's words about the domain's own record, where that has a syntax error."""
    record = keys["record"]
    broken = any(each.id == "spf-syntax" for each in found)
    if not broken or record is None:
        return ()
    try:
        fault = await in_thread(
            lambda: _fault(record, domain, circumstances), circumstances.timeout_seconds
        )
    except TimeoutError:
        return ()  # the fault itself is told already
    if fault is None:
        return ()
    return (
        finding("spf-table/spf-syntax-advice", Severity.INFO, circumstances.language, text=fault),
    )


def _fault(record: str, domain: str, circumstances: Circumstances) -> str | None:
    """What checkdmarc says is wrong with the syntax; None where it stumbles over nothing."""
    from checkdmarc import spf, utils

    from diagnose.dns import blocking_nameservers

    utils.DNS_CACHE.clear()  # it does not tell one name server's answers from another's
    try:
        spf.parse_spf_record(
            record,
            domain,
            nameservers=blocking_nameservers(circumstances.nameserver),
            timeout=circumstances.timeout_seconds,
        )
    except spf.SPFSyntaxError as error:
        return " ".join(str(error).split())
    except spf.SPFError:
        return None
    return None
