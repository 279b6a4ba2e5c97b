"""Mail that waits elsewhere, taken over: each message once, its bytes as intake would have them."""

import json
import os
import pty
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from fakes.emailrelay_spool import EmailrelaySpool
from fakes.relay_process import RelayProcess
from fakes.smarthost import Smarthost
from fakes.stores import Store
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from relay.cli.app import app
from relay.clock import utc_now
from relay.config.load import load
from relay.intake.data_decoder import DataDecoder
from relay.moving_in.accepting import Acceptance, Taken
from relay.moving_in.eml import Said, read_eml
from relay.moving_in.letter import Letter, as_on_the_wire

CONTENT = b"From: info@mijnbakkerij.nl\r\nSubject: factuur\r\n\r\nregel\r\n.punt\r\n"


def to_port(port: int) -> str:
    return (
        '[[client]]\nname = "kassa"\nnetworks = ["192.168.1.20", "127.0.0.1"]\n'
        f'[[smarthost]]\nname = "isp"\nhost = "127.0.0.1"\nport = {port}\ntls = "none"\n'
    )


@pytest.fixture
def relay(tmp_path: Path) -> RelayProcess:
    """One that is stopped, and has not run yet."""
    (tmp_path / "relay").mkdir()
    relay = RelayProcess(tmp_path / "relay", to_port(9))
    relay.write_config()
    return relay


@pytest.fixture
def old(tmp_path: Path) -> EmailrelaySpool:
    return EmailrelaySpool(tmp_path / "emailrelay")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "eml").mkdir()
    return tmp_path / "eml"


def run(relay: RelayProcess, *words: str | Path) -> Result:
    """A command of a relay that is stopped, in this process: most of them are quick."""
    return CliRunner().invoke(app, [*map(str, words), "--config", str(relay.config)])


def taken(relay: RelayProcess, *words: str | Path, code: int = 0) -> Any:
    done = run(relay, "import", *words, "--json")
    assert done.exit_code == code, done.output
    return json.loads(done.stdout)


def shown(relay: RelayProcess, id_: str) -> Any:
    return json.loads(run(relay, "queue", "show", id_, "--json").stdout)


def bytes_of(relay: RelayProcess, id_: str) -> bytes:
    to = relay.directory / f"out-{id_}"
    assert run(relay, "queue", "export", id_, "--to", to).exit_code == 0
    return (to / f"{id_}.eml").read_bytes()


# --- E-MailRelay ---


def test_what_waited_is_delivered_once_and_what_was_given_up_is_held(
    tmp_path: Path, old: EmailrelaySpool
) -> None:
    old.add(CONTENT, ["een@example.net", "twee@example.net"])
    old.add(
        CONTENT.replace(b"factuur", b"herinnering"),
        ["weg@example.net"],
        state=".bad",
        after="X-MailRelay-Reason: 550 no such user\r\nX-MailRelay-ReasonCode: 550\r\n",
    )
    (tmp_path / "relay").mkdir()
    with Smarthost() as smarthost:
        relay = RelayProcess(tmp_path / "relay", to_port(smarthost.port))
        relay.write_config()
        for _ in range(2):  # once more changes nothing
            document = taken(relay, "emailrelay", old.directory, "--write")
        first, second = document["messages"]
        assert (first["before"], second["before"]) == (True, True)
        assert (first["hold"], second["hold"], second["gave_up"]) == (
            False,
            True,
            "550 no such user",
        )
        relay.start()
        smarthost.wait_for(1)
        (arrived,) = smarthost.accepted
        assert [path.address for path in arrived.recipients] == [
            "een@example.net",
            "twee@example.net",
        ]
        assert arrived.content.endswith(CONTENT)
        assert b"Received: from import ([192.168.1.20]) by relay.test with local" in arrived.content
        held = relay.run("queue", "show", second["id"], "--json").json
        assert (held["state"], held["waiting_for"], held["client"]) == ("held", "hold", "kassa")
        assert relay.run("queue", "release", second["id"]).code == 0
        smarthost.wait_for(2)
        relay.kill9()
    assert len(list(old.directory.iterdir())) == 4, "the files are still there"


def test_what_is_not_whole_in_use_local_or_unknown_stays_and_is_named(
    relay: RelayProcess, old: EmailrelaySpool
) -> None:
    old.add(CONTENT, state=".busy")
    old.add(CONTENT, state=".new")
    old.add(CONTENT, more={"ToCount": "2"})
    old.add(CONTENT, more={"Format": "#2821.2"})
    old.add(CONTENT, [], local=["postmaster"])
    old.add(CONTENT, ["geen adres"])
    torn = old.add(CONTENT)
    torn.write_bytes(torn.read_bytes().rpartition(b"X-MailRelay-End")[0])
    alone = old.add(CONTENT)
    alone.unlink()
    lost = old.add(CONTENT)
    lost.with_suffix(".content").unlink()
    document = taken(relay, "emailrelay", old.directory, "--write", code=1)
    assert [each["why"] for each in document["left_out"]] == [
        "in-use",
        "in-use",
        "incomplete",
        "format",
        "local",
        "address",
        "incomplete",
        "no-envelope",
        "unreadable",
    ]
    assert not relay.spool.exists()


def test_what_steered_a_message_is_named_and_a_local_recipient_left_out(
    relay: RelayProcess, old: EmailrelaySpool
) -> None:
    old.add(CONTENT, local=["jan"], more={"ForwardTo": "smtp.example.net:25"})
    (message,) = taken(relay, "emailrelay", old.directory)["messages"]
    assert message["recipients"] == ["klant@example.net"]
    assert len(message["notes"]) == 2
    assert "smtp.example.net:25" in message["notes"][1]


# --- .eml ---


def test_an_eml_leaves_by_its_header_without_its_bcc(relay: RelayProcess, folder: Path) -> None:
    (folder / "a.eml").write_bytes(
        b"From jan Sat Nov 21 12:00:00 2026\nReturn-Path: <bounce@mijnbakkerij.nl>\n"
        b'From: "Jan, de bakker" <jan@mijnbakkerij.nl>\nTo: een@example.net,\n'
        b' "Twee, Dhr." <twee@example.net>\nbcc: stil@example.net\nSubject: x\n\n.\n..\nna\r\n'
    )
    (message,) = taken(relay, "eml", folder, "--write")["messages"]
    assert message["sender"] == "bounce@mijnbakkerij.nl"
    assert message["recipients"] == ["een@example.net", "twee@example.net", "stil@example.net"]
    content = bytes_of(relay, message["id"])
    assert content.endswith(b"Subject: x\r\n\r\n.\r\n..\r\nna\r\n")
    for gone in (b"stil@", b"bounce@", b"From jan"):
        assert gone not in content
    repairs = {each["repair"] for each in shown(relay, message["id"])["repairs"]}
    assert repairs == {"bare-lf", "added-date", "added-message-id"}


def test_the_command_line_goes_before_the_header(relay: RelayProcess, folder: Path) -> None:
    (folder / "a.eml").write_bytes(b"From: a@example.net\nTo: b@example.net\n\nx")
    words = ("--from", "info@mijnbakkerij.nl", "--to", "c@example.net", "--to", "d@example.net")
    (message,) = taken(relay, "eml", folder / "a.eml", *words)["messages"]
    assert (message["sender"], message["recipients"]) == (
        "info@mijnbakkerij.nl",
        ["c@example.net", "d@example.net"],
    )


def test_a_resent_message_goes_to_whom_it_was_resent(relay: RelayProcess, folder: Path) -> None:
    (folder / "a.eml").write_bytes(
        b"Resent-From: info@mijnbakkerij.nl\nResent-To: nieuw@example.net\n"
        b"From: klant@example.net\nTo: info@mijnbakkerij.nl\n\nx\n"
    )
    (message,) = taken(relay, "eml", folder)["messages"]
    assert (message["sender"], message["recipients"]) == (
        "info@mijnbakkerij.nl",
        ["nieuw@example.net"],
    )


def test_an_exported_message_goes_to_those_who_still_had_to_get_it(
    tmp_path: Path, relay: RelayProcess, folder: Path
) -> None:
    (folder / "a.eml").write_bytes(b"From: a@b.nl\nTo: c@d.nl\nBcc: stil@d.nl\n\nx")
    (first,) = taken(relay, "eml", folder, "--from", "", "--write")["messages"]
    exported = bytes_of(relay, first["id"])
    out = relay.directory / f"out-{first['id']}"
    document = json.loads((out / f"{first['id']}.json").read_text())
    document["recipients"][0]["state"] = "delivered"
    (out / f"{first['id']}.json").write_text(json.dumps(document))
    (second,) = taken(relay, "eml", out)["messages"]
    assert (second["sender"], second["recipients"]) == ("", ["stil@d.nl"])
    assert b"stil@" not in exported


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"alleen tekst\n\nhallo\n", "no-header"),
        (b"", "no-header"),
        # A field behind the break would be text, and a Bcc in it would leave.
        (b"From: a@b.nl\nTo: c@d.nl\nkapot\nBcc: e@f.nl\n\nx\n", "no-header"),
        (b"From: Jan\nTo: c@d.nl\n\nx\n", "no-sender"),
        (b"From: a@b.nl\nTo: undisclosed-recipients:;\n\nx\n", "no-recipient"),
        (b"From: a@b.nl\nTo: <c@d_.nl@x>\n\nx\n", "address"),
    ],
)
def test_what_has_no_envelope_stays(
    relay: RelayProcess, folder: Path, content: bytes, why: str
) -> None:
    (folder / "a.eml").write_bytes(content)
    document = taken(relay, "eml", folder, "--write", code=1)
    assert (document["messages"], document["left_out"][0]["why"]) == ([], why)


def test_what_intake_would_refuse_stays_and_may_be_taken_later(
    relay: RelayProcess, folder: Path
) -> None:
    relay.listener = "max_message_bytes = 2000"
    relay.write_config()
    (folder / "groot.eml").write_bytes(b"From: a@b.nl\nTo: c@d.nl\n\n" + b"x" * 3000)
    (folder / "klein.eml").write_bytes(b"From: a@b.nl\nTo: c@d.nl\n\nx")
    big, small = taken(relay, "eml", folder, "--write", code=1)["messages"]
    assert big["declined"].startswith("552 5.3.4")
    assert small["id"]
    relay.listener = ""
    relay.write_config()
    big, small = taken(relay, "eml", folder, "--write")["messages"]
    assert (big["before"], small["before"]) == (False, True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_makes_before_the_first_start_is_the_services(
    relay: RelayProcess, folder: Path
) -> None:
    (folder / "a.eml").write_bytes(b"From: a@b.nl\nTo: c@d.nl\n\nx")
    os.chown(relay.directory, 65534, 65534)
    taken(relay, "eml", folder, "--write")
    owners = {path.stat().st_uid for path in relay.directory.glob("spool.db*")}
    assert owners == {65534}


def test_all_of_it_can_be_held(relay: RelayProcess, folder: Path) -> None:
    (folder / "a.eml").write_bytes(b"From: a@b.nl\nTo: c@d.nl\n\nx")
    (message,) = taken(relay, "eml", folder, "--hold", "--write")["messages"]
    assert shown(relay, message["id"])["state"] == "held"


# --- Both ---


def test_nothing_is_written_unasked_and_a_running_relay_keeps_its_spool(
    tmp_path: Path, relay: RelayProcess, folder: Path
) -> None:
    (folder / "a.eml").write_bytes(b"From: a@b.nl\nTo: c@d.nl\n\nx")
    done = run(relay, "import", "eml", folder)
    assert done.exit_code == 0
    assert "--write" in done.stderr
    assert not relay.spool.exists()
    with relay:
        done = relay.run("import", "eml", str(folder), "--write")
        assert done.code == 2
        assert "stop that first" in done.err
    missing = run(relay, "import", "eml", tmp_path / "weg", "--json")
    assert (missing.exit_code, missing.stdout) == (2, "")


@pytest.mark.parametrize(("answer", "written"), [(b"ja\n", True), (b"\n", False)])
def test_at_a_terminal_it_asks(
    relay: RelayProcess, folder: Path, answer: bytes, written: bool
) -> None:
    (folder / "a.eml").write_bytes(b"From: a@b.nl\nTo: c@d.nl\n\nx")
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "relay", "import", "eml", str(folder), "--lang", "nl"]
    os.write(master, answer)
    done = subprocess.run(
        [*command, "--config", str(relay.config)],
        stdin=slave,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    os.close(master)
    os.close(slave)
    assert "Overnemen?" in done.stderr
    assert relay.spool.exists() is written


def test_killed_at_any_write_it_is_run_again_and_each_is_there_once(
    tmp_path: Path, relay: RelayProcess, folder: Path
) -> None:
    for number in range(8):
        text = b"x" * (1_500_000 if number == 3 else 10)
        (folder / f"{number}.eml").write_bytes(b"From: a@b.nl\nTo: c%d@d.nl\n\n" % number + text)
    # Killed by itself at its n-th commit, which is there or not.
    program = (
        "import os, signal, sys\n"
        "import relay.spool.sqlite.writer as writer\n"
        "from relay.spool.sqlite.ledger import SqliteLedger as Ledger\n"
        "from relay.spool.sqlite.queue import SqliteQueue as Queue\n"
        "left = int(sys.argv.pop(1))\n"
        "def counted(method):\n"
        "    async def call(*given, **named):\n"
        "        global left\n"
        "        left -= 1\n"
        "        if left == 0: os.kill(os.getpid(), signal.SIGKILL)\n"
        "        result = await method(*given, **named)\n"
        "        left -= 1\n"
        "        if left == 0: os.kill(os.getpid(), signal.SIGKILL)\n"
        "        return result\n"
        "    return call\n"
        "Ledger.remember = counted(Ledger.remember)\n"
        "Queue.accept = counted(Queue.accept)\n"
        "from relay.cli.app import main\n"
        "main()\n"
    )
    arguments = ["import", "eml", str(folder), "--write", "--config", str(relay.config)]
    for at in (2, 3, 4, 6, 11):
        done = subprocess.run(
            [sys.executable, "-c", program, str(at), *arguments], capture_output=True, timeout=60
        )
        assert done.returncode == -signal.SIGKILL, done
    taken(relay, "eml", folder, "--write")
    waiting = json.loads(run(relay, "queue", "list", "--json").stdout)["messages"]
    found = sorted(each["recipients"][0]["address"] for each in waiting)
    assert found == [f"c{number}@d.nl" for number in range(8)]


async def test_each_is_there_once_in_a_spool_of_either_kind(
    tmp_path: Path, relay: RelayProcess, store: Store
) -> None:
    (tmp_path / "a.eml").write_bytes(b"From: a@b.nl\nTo: c@d.nl\n\n" + b"x" * 300_000)
    (letter,) = read_eml(tmp_path / "a.eml", Said())
    assert isinstance(letter, Letter)
    config = load(relay.config, {})
    for before in (False, True):
        spool = await store.open()
        try:
            ended = await Acceptance(config, spool, utc_now).take(letter)
            assert isinstance(ended, Taken)
            assert ended.before is before
            total, _ = await spool.queue.page(None, 10)
            assert total == 1
        finally:
            await spool.close()


# --- The bytes ---


def normalised(content: bytes, cuts: list[int]) -> bytes:
    edges = sorted({0, len(content), *(cut % (len(content) + 1) for cut in cuts)})
    pieces = [content[a:b] for a, b in pairwise(edges)]
    decoder = DataDecoder()
    wire = list(as_on_the_wire(pieces))
    out = b"".join(decoder.feed(piece) for piece in wire if not decoder.finished)
    assert decoder.finished
    assert decoder.rest == b""
    return out


@given(
    st.lists(st.sampled_from([b"a", b".", b"\r\n", b"\r", b"\n", b"\r\n.\r\n"])).map(b"".join),
    st.lists(st.integers(0, 1000), max_size=5),
)
def test_whatever_the_bytes_none_is_lost_and_no_dot_ends_it(
    content: bytes, cuts: list[int]
) -> None:
    out = normalised(content, cuts)
    assert out == normalised(content, [])
    expected = content.replace(b"\r\n", b"\0").replace(b"\n", b"\0").replace(b"\r", b" ")
    if not expected.endswith(b"\0") and expected:
        expected += b"\0"
    assert out == (expected.replace(b"\0", b"\r\n") or b"\r\n")
