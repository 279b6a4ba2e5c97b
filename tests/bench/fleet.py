"""`diagnose fleet` over many domains, which nsd on loopback knows: how fast, how much memory."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fakes.nsd import Nsd
from tabulate import tabulate

_ROOT = Path(__file__).resolve().parents[2]
_ORDERNOW = "ip4:84.246.4.155"
_OUTLOOK = "spf.protection.outlook.com"
_GOOGLE = ("_netblocks.google.com", "_netblocks2.google.com", "_netblocks3.google.com")
_KINDS = 20


def fleet(domains: int) -> list[dict[str, Any]]:
    """A row for a first run, and for the same command when all of it is done."""
    with tempfile.TemporaryDirectory(prefix="fleet-") as directory:
        place = Path(directory)
        (place / "list").write_text("".join(f"{_name(n)}\n" for n in range(domains)))
        with Nsd(_zone(domains), place) as nsd:
            return [
                _run(what, domains, place, nsd.address) for what in ("first run", "all of it done")
            ]


def table(documents: Sequence[dict[str, Any]]) -> str:
    """Domains a second and what it took."""
    rows = [
        [
            one["run"],
            one["domains"],
            f"{one['domains_per_second']:.0f}",
            *(one[key] for key in ("seconds", "processor_seconds", "questions", "asked")),
            f"{100 * one['cached_share']:.0f} %",
            f"{one['peak_bytes'] / 1e6:.0f}",
            f"{one['output_bytes'] / 1e6:.0f}",
            "" if one["valid"] else "VOID: other verdicts than the zone holds",
        ]
        for one in documents
    ]
    headers = ["diagnose fleet", "domains", "domains/s", "seconds", "processor s", "DNS questions"]
    more = ["asked", "cached", "MB most", "MB written", ""]
    text: str = tabulate(rows, [*headers, *more], disable_numparse=True)
    return text


def _run(what: str, domains: int, place: Path, nameserver: str) -> dict[str, Any]:
    output = place / "results.jsonl"
    command = [sys.executable, "-m", "diagnose", "fleet", str(place / "list"), "--json"]
    command += ["--output", str(output), "--nameserver", nameserver]
    began = time.monotonic()
    with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.read())
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - began
    verdicts = {key: told["domains"][key] for key in ("pass", "warn", "fail", "unknown")}
    lines = sum(1 for _ in output.open("rb"))
    dns = told["dns"]
    return {
        "run": what,
        "domains": domains,
        "seconds": round(seconds, 1),
        "domains_per_second": round(domains / seconds, 1),
        "processor_seconds": round(used.ru_utime + used.ru_stime, 1),
        "questions": dns["questions"],
        "asked": dns["asked"],
        "cached_share": round(1 - dns["asked"] / dns["questions"], 3) if dns["questions"] else 0,
        "peak_bytes": used.ru_maxrss * 1024,
        "output_bytes": output.stat().st_size,
        "verdicts": verdicts,
        "valid": verdicts == _expected(domains) and lines == domains,
    }


def _name(number: int) -> str:
    return f"d{number:05}.nl"


def _expected(domains: int) -> dict[str, int]:
    """The verdicts that the zone must lead to."""
    counted: Counter[str] = Counter()
    for number in range(domains):
        kind = number % _KINDS
        covered = kind < 8 or 13 <= kind < 17
        policy = number % 2 or number % 10 == 0
        counted["fail" if not covered else "pass" if policy else "warn"] += 1
    return {verdict: counted[verdict] for verdict in ("pass", "warn", "fail", "unknown")}


def _zone(domains: int) -> str:
    """Of twenty domains eight are at Microsoft, five at Google, four on a server of their own.

    One has a syntax error in its SPF record, one has none, one does not exist; the half have a
    DMARC record, and another tenth one whose reports go to a company that many use.
    """
    lines = [
        f'{_OUTLOOK}. IN TXT "v=spf1 ip4:40.92.0.0/15 ip4:40.107.0.0/16 ip4:52.100.0.0/15 -all"',
        f'_spf.google.com. IN TXT "v=spf1 {" ".join(f"include:{name}" for name in _GOOGLE)} ~all"',
        *(
            f'{name}. IN TXT "v=spf1 ip4:64.233.160.0/19 ip4:66.102.0.0/20 ~all"'
            for name in _GOOGLE
        ),
        '*._report._dmarc.reports.example. IN TXT "v=DMARC1"',
    ]
    for number in range(domains):
        lines += _records(number)
    return "\n".join(lines) + "\n"


def _records(number: int) -> Iterator[str]:
    name, kind = _name(number), number % _KINDS
    if kind == 19:
        return
    yield f"{name}. IN A 192.0.2.{number % 250}"
    yield f'{name}. IN TXT "site-verification={number:032}"'
    if kind < 8:
        yield f"{name}. IN MX 0 {name.replace('.', '-')}.mail.protection.outlook.com."
        yield f'{name}. IN TXT "v=spf1 include:{_OUTLOOK} {_ORDERNOW} -all"'
    elif kind < 13:
        yield f"{name}. IN MX 1 smtp.google.com."
        yield f'{name}. IN TXT "v=spf1 include:_spf.google.com ~all"'
    elif kind < 17:
        yield f"{name}. IN MX 10 mx.{name}."
        yield f"mx.{name}. IN A 198.51.100.{number % 250}"
        yield f'{name}. IN TXT "v=spf1 a mx {_ORDERNOW} -all"'
    elif kind == 17:
        yield f'{name}. IN TXT "v=spf1 ipv4:192.0.2.1 -all"'
    if number % 2:
        yield f'_dmarc.{name}. IN TXT "v=DMARC1; p=reject; rua=mailto:dmarc@{name}"'
    elif number % 10 == 0:
        yield f'_dmarc.{name}. IN TXT "v=DMARC1; p=none; rua=mailto:dmarc@reports.example"'
