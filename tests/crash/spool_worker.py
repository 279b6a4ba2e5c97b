"""Runs the deeds of a spool, each time in a fork of its own, on a disk that may kill it.

Reads one JSON object a line: scenario, spool, journal, and either an order for the disk and the
file to put it into, or null. Answers with one line: how the fork ended, 0 or minus the signal.
Forks, because the interpreter's start would cost ten times what the deeds do.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

from crash.spool_deeds import SCENARIOS, Journal


def main() -> None:
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _run(json.loads(line))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _run(job: dict[str, str]) -> None:
    code = 1
    try:

        def begin() -> None:
            part = Path(f"{job['order_file']}.part")
            part.write_text(job["order"])
            part.replace(job["order_file"])

        scenario = SCENARIOS[job["scenario"]]
        asyncio.run(scenario(Path(job["spool"]), Journal(Path(job["journal"])), begin))
        code = 0
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
