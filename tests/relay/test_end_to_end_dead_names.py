"""No name server answers: mail comes in as fast as ever, and nothing of it is lost."""

import subprocess
import time
from pathlib import Path

import pytest
from fakes.peers import program
from fakes.relay_process import RelayProcess
from fakes.smarthost import Smarthost

SENDER = "info@mijnbakkerij.nl"
CONTENT = b"Subject: x\r\n\r\nx\r\n"
_SOURCE = Path(__file__).parents[1] / "fakes" / "dead_names.c"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("names") / "dead_names.so"
    command = [program("cc"), "-shared", "-fPIC", "-o", str(made), str(_SOURCE), "-ldl"]
    subprocess.run(command, check=True, timeout=60)
    return made


@pytest.mark.needs("cc")
def test_accepting_asks_no_name_server_and_waits_for_none(tmp_path: Path, library: Path) -> None:
    asked = tmp_path / "asked"
    with Smarthost() as smarthost:
        tables = f"""
[[smarthost]]
name = "by name"
host = "smtp.provider.test"
port = 587
tls = "starttls"

[[smarthost]]
name = "by address"
host = "127.0.0.1"
port = {smarthost.port}
tls = "none"

[[route]]
recipient = "*@example.org"
smarthost = ["by address"]
"""
        relay = RelayProcess(tmp_path, tables)
        relay.environment = {"LD_PRELOAD": str(library), "DEAD_NAMES_LOG": str(asked)}
        with relay:
            # Its lanes wait for a name meanwhile, as many of them as there are connections.
            for number in range(10):
                relay.send(SENDER, [f"klant{number}@example.net"], CONTENT)
            relay.wait_until(asked.exists)
            took = []
            for number in range(20):
                began = time.monotonic()
                relay.send(SENDER, [f"klant{number}@example.org"], CONTENT)
                took.append(time.monotonic() - began)
            assert max(took) < 1
            # Mail that needs no name leaves, while the rest waits without having failed.
            smarthost.wait_for(20, timeout_seconds=2)
            waiting = relay.queue()
            assert len(waiting) == 10
            assert {each["state"] for each in waiting} == {"queued"}
            assert relay.log_events("failed") == []
    assert set(asked.read_text().split()) == {"smtp.provider.test"}
