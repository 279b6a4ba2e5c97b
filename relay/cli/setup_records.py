"""What `relay setup` says about the domain at the end: SPF and DMARC, and the records to publish."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from relay.cli.check import MARKS
from relay.cli.output import cell
from relay.cli.texts import text
from relay.setup.examiner import Examiner, NotExamined
from relay.setup.questions import YES, Situation, own_domain

Looked = dict[str, Any] | BaseException


@dataclass(slots=True)
class Records:
    """The examiner's documents, and for each record to publish its name and text."""

    spf: dict[str, Any] | None = None
    dmarc: dict[str, Any] | None = None
    publish: list[dict[str, str]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


def examine_records(at: Situation, config: Path, nameserver: str | None) -> Records:
    """Look at the domain's records; what could not be looked at is said, and not taken as good."""
    language, domain = at.language, own_domain(at)
    if domain is None:
        own = at.answers["address"].rpartition("@")[2]
        return Records(lines=["", text("setup.records.own", language, domain=own)])
    examiner = Examiner(language, nameserver)
    records = Records(lines=["", text("setup.records", language, domain=domain)])
    ordernow = at.answers.get("ordernow") == YES

    async def looked() -> tuple[Looked, Looked]:
        spf: Looked
        dmarc: Looked
        spf, dmarc = await asyncio.gather(
            examiner.spf(domain, config, ordernow=ordernow),
            examiner.dmarc(domain),
            return_exceptions=True,
        )
        return spf, dmarc

    found = asyncio.run(looked())
    records.spf = _told(records, "SPF", at, found[0])
    records.dmarc = _told(records, "DMARC", at, found[1])
    suggestion = (records.spf or {}).get("suggestion")
    if suggestion and suggestion["adds"]:
        records.publish.append({"name": domain, "type": "TXT", "text": suggestion["record"]})
    policy = (records.dmarc or {}).get("suggestion")
    if policy:
        records.publish.append({"name": f"_dmarc.{domain}", "type": "TXT", "text": policy})
    if records.publish:
        records.lines += ["", text("setup.publish", language)]
        records.lines += [f"  {each['name']}  TXT  {each['text']}" for each in records.publish]
    return records


def _told(records: Records, check: str, at: Situation, found: Looked) -> dict[str, Any] | None:
    """The document, its findings made lines; None with a line where there is none."""
    if isinstance(found, NotExamined):
        command = f"{check.lower()} {own_domain(at)}"
        values = {"check": check, "reason": str(found), "command": command}
        records.lines.append(cell(f"?  {text('setup.records.none', at.language, **values)}"))
        return None
    if isinstance(found, BaseException):
        raise found
    for each in found["findings"]:
        records.lines.append(cell(f"{MARKS[each['severity']]:<2} {each['title']}"))
        if each["severity"] in ("warning", "error", "unknown"):
            records.lines += [f"   -> {cell(step)}" for step in each["remedy"]]
    return found
