"""`relay check --online` looks at the clock and at what the accounts have used up."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from fakes.certificates import Authority
from fakes.relay_process import RelayProcess
from fakes.smarthost import Behaviour, Smarthost

from relay.cli.clock import told_time

EXCHANGE = "AM0PR01CA0001.outlook.office365.com Microsoft ESMTP MAIL Service ready at Sat, 21 Nov 2026 21:20:25 +0000 [08DE1]"


@pytest.mark.parametrize(
    ("greeting", "told"),
    [
        (EXCHANGE, datetime(2026, 11, 21, 21, 20, 25, tzinfo=UTC)),
        (
            "mx ESMTP Exim 4.96 Sat, 21 Nov 2026 22:20:25 +0100",
            datetime(2026, 11, 21, 21, 20, 25, tzinfo=UTC),
        ),
        ("mx ESMTP Postfix", None),
        ("Sat, 41 Nov 2026 22:20:25 +0100", None),
        ("21 Nov 2026 99:20:25 +0100", None),
    ],
)
def test_the_date_of_a_greeting(greeting: str, told: datetime | None) -> None:
    assert told_time(greeting) == told


@pytest.mark.parametrize(
    ("offset_seconds", "severity", "words", "code"),
    [
        (0, "ok", "from that of", 0),
        (900, "error", "behind that of", 1),
        (-900, "error", "ahead of that of", 1),
        (None, "info", "cannot be checked", 0),
    ],
)
def test_the_clock_is_compared(
    tmp_path: Path,
    authority: Authority,
    offset_seconds: int | None,
    severity: str,
    words: str,
    code: int,
) -> None:
    date = ""
    if offset_seconds is not None:
        date = format_datetime(datetime.now(UTC) + timedelta(seconds=offset_seconds))
    behaviour = Behaviour(
        script={"CONNECT": f"220 mail.test ready at {date}"},
        tls="starttls",
        context=authority.issue("127.0.0.1").server_context(),
        users={"bakker": "geheim"},
    )
    with Smarthost(behaviour) as smarthost:
        relay = RelayProcess(tmp_path)
        relay.add_smarthost(smarthost.port, authority.ca_file, more="messages_per_day = 10")
        relay.write_config()
        done = relay.run("check", "--online", "--json")
    findings = {each["id"]: each for each in json.loads(done.out)["findings"]}
    assert findings["clock"]["severity"] == severity
    assert words in findings["clock"]["detail"]
    assert findings["quota"]["severity"] == "ok"
    assert "0 of 10 messages" in findings["quota"]["detail"]
    assert done.code == code
