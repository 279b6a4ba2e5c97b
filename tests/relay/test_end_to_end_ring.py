"""Two relays that are each other's smarthost: the mail stops going round, and one report is made."""

from pathlib import Path

from fakes.relay_process import RelayProcess

SENDER, RECIPIENT = "info@mijnbakkerij.nl", "klant@example.net"
MOST_HOPS_EACH = 3
"""A relay that finds its own name this often in the trace refuses the message."""


class Named(RelayProcess):
    """A relay with a name of its own, which passes all its mail on to `next_port`."""

    name = "een.test"
    next_port = 0

    def write_config(self) -> Path:
        self.tables = f'[[smarthost]]\nname = "next"\nhost = "127.0.0.1"\nport = {self.next_port}\ntls = "none"\n'
        path = super().write_config()
        path.write_text(path.read_text().replace('"relay.test"', f'"{self.name}"'))
        return path


def quiet(*relays: RelayProcess) -> bool:
    return all(relay.queue() == [] for relay in relays)


def test_mail_in_a_ring_ends_and_is_reported_once(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one, two = Named(tmp_path / "one"), Named(tmp_path / "two")
    two.name, one.next_port, two.next_port = "twee.test", two.port, one.port
    with one, two:
        one.send(SENDER, [RECIPIENT], b"Subject: ring\r\n\r\nrond\r\n")
        # The message, and then the report of that, which goes the same way.
        one.wait_until(lambda: len(failures(one, two)) >= 2 and quiet(one, two))
        refused = [*one.log_events("refused"), *two.log_events("refused")]
        accepted = [*one.log_events("accepted"), *two.log_events("accepted")]
        reports = [*one.log_events("dsn"), *two.log_events("dsn")]
        failed = failures(one, two)
    assert {each["reply"] for each in refused} == {"554 5.4.6 mail loop: passed on 6 times"}
    assert [each["recipients"] for each in failed] == [[RECIPIENT], [SENDER]]
    assert [each["to"] for each in reports] == [SENDER]
    assert len(accepted) <= 2 * 2 * MOST_HOPS_EACH + 1


def failures(*relays: RelayProcess) -> list[dict[str, object]]:
    return [event for relay in relays for event in relay.log_events("failed")]
