"""SIGKILL again and again while mail comes and goes: for the relay, or for its process that writes.

`CRASH_ROUNDS=200 pytest tests/crash/test_kill_loop.py` is the long form.
"""

import os
import random
import signal
import time
from pathlib import Path

import pytest
from crash.books import Books, Programs, refuses_some
from fakes.relay_process import RelayProcess
from fakes.smarthost import Behaviour, Smarthost

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "12"))
SEED = 20261121


def drained(relay: RelayProcess) -> bool:
    """Nothing waits; what does is made due, since reports to one address leave at a pace."""
    relay.retry_all()
    return relay.queue() == []


@pytest.mark.timeout(60 + 5 * ROUNDS)
def test_every_promise_is_kept_by_a_relay_that_is_killed(
    tmp_path: Path,
) -> None:
    chance = random.Random(SEED)
    behaviour = Behaviour(script={"RCPT": lambda command: refuses_some(command.argument)})
    books = Books()
    with Smarthost(behaviour) as smarthost:
        plain = f'[[smarthost]]\nname = "isp"\nhost = "127.0.0.1"\nport = {smarthost.port}\ntls = "none"\n'
        relay = RelayProcess(tmp_path, plain, listener="max_message_bytes = 400000")
        programs = Programs(relay, books)
        with relay:
            programs.start()
            try:
                for number in range(ROUNDS):
                    time.sleep(chance.uniform(0.1, 0.8))  # noqa: TID251 - a moment to be hit
                    if number % 3 == 2:
                        relay.signal_writer(signal.SIGKILL)
                        assert relay.wait_for_exit() == 70
                    else:
                        relay.kill9()
                    relay.start()
            finally:
                programs.stop()
            relay.wait_until(lambda: drained(relay), timeout_seconds=60 + ROUNDS)
            found = books.account_for(relay, smarthost)
    figures = {
        "rounds": ROUNDS,
        "acknowledged": len(books.acknowledged),
        "lost": len(found.lost),
        "twice": len(found.twice),
    }
    print(figures)
    assert len(books.acknowledged) > 10 * ROUNDS
    assert books.refused
    assert found.failed
    assert found.lost == set()
    assert found.unreported == set()
    assert found.refused_and_delivered == set()
    assert found.wrongly_twice == set()
