"""The benchmark works: short, every part, both Postfixes. What it measures here means nothing."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bench import text
from bench.command import PARTS
from bench.figures import figures
from bench.workloads import throughput
from fakes.peers import needs

BENCH = Path(__file__).parent


@needs("postfix", "smtp-source", "sasl-plain", "nsd", "postgres")
@pytest.mark.timeout(300)
def test_the_short_form_runs_all_of_it(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, BENCH, "--short", "--save", tmp_path / "short"],
        capture_output=True,
        text=True,
        timeout=280,
    )
    # 0: every message of every round was counted at the smarthost, once.
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads((tmp_path / "short.json").read_text())
    assert {"schema", "machine", "short", "rounds", "figures", *PARTS} <= document.keys()
    assert [one["name"] for one in document["throughput"]] == [
        one.name for one in throughput(short=True)
    ]
    for workload in document["throughput"]:
        assert all(peer["rate"] > 0 for peer in workload["peers"].values()), workload
        assert set(workload["ratios"]) == set(workload["peers"]) - {"relay"}
    assert "postfix reuse" in document["throughput"][-1]["peers"]
    for one in document["latency"]:
        assert one["idle"]["accept"]["p50"] <= one["idle"]["accept"]["p99"]
    assert all(one["peak_bytes"] > 0 for one in document["large"])
    assert [one["queued"] for one in document["backlog"]] == [0, 100]
    assert set(document["curves"]) == {"connections", "recipients", "bytes"}
    for one in document["nodes"]["together"]:
        round_of_it = one["middle_round"]
        assert all(round_of_it["processor_milliseconds"].values()), one
        # Each message is in the log, and was committed.
        assert round_of_it["wal_record_bytes"] > 4_000
        assert round_of_it["commits"] > 0
    assert [one["queued"] for one in document["nodes"]["claims"]] == [100]
    tables = (tmp_path / "short.txt").read_text()
    assert tables in done.stdout
    assert "VOID" not in tables


def round_of(peer: str, rate: float, why: str = "") -> dict[str, Any]:
    return {"peer": peer, "rate": rate, "accept_rate": rate, "valid": not why, "why": why}


def workload(why: str = "") -> dict[str, Any]:
    peers = {
        name: {
            "rate": rate,
            "rate_range": [rate - 1, rate + 1],
            "accept_rate": rate,
            "rounds": [round_of(name, rate, why if name == "relay" else "")],
        }
        for name, rate in (("relay", 600.0), ("postfix", 300.0))
    }
    name = "4 kB, 10 sessions, kept"
    ratios = {"postfix": 2.0}
    return {"name": name, "peers": peers, "ratios": ratios, "ceiling": 1500.0, "valid": not why}


def test_a_figure_is_reached_or_not() -> None:
    [reached] = figures({"throughput": [workload()]})
    assert (reached["measured"], reached["reached"]) == (2.0, True)
    behind = {**workload(), "ratios": {"postfix": 1.4}}
    assert [one["reached"] for one in figures({"throughput": [behind]})] == [False]


def test_a_load_whose_messages_were_not_all_there_gives_no_figure() -> None:
    void = workload("20 sent, 19 counted")
    assert figures({"throughput": [void]}) == []
    assert "VOID: 20 sent, 19 counted" in text.throughput([void])
