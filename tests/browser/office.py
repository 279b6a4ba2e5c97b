"""An office for the page to show: a relay, a smarthost that does as told, and mail through both."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fakes.certificates import Authority
from fakes.invoice import invoice
from fakes.relay_process import RelayProcess
from fakes.script import Behaviour, Script
from fakes.smarthost import Smarthost

ACCOUNT = "mijnbakkerij@ziggo.nl"
PASSWORD = "geheim"
SENDER = "info@mijnbakkerij.nl"
STRANGER = "127.0.0.9"
"""An address of this machine that no client's networks hold."""

CLIENTS = """
[[client]]
name = "kassa"
networks = ["127.0.0.1"]
"""


class Office:
    """A running relay whose client is the till at 127.0.0.1, and its smarthost."""

    def __init__(self, relay: RelayProcess, smarthost: Smarthost) -> None:
        self.relay = relay
        self.smarthost = smarthost

    def send(self, recipient: str, number: int = 1, sender: str = SENDER) -> None:
        """An invoice from the till."""
        self.relay.send(sender, [recipient], invoice(sender, [recipient], number=number))

    def is_refused(self, source: str = STRANGER) -> None:
        """A device that is not on the list tries to send."""
        with self.relay.connect(source) as client:
            greeting = client.reply()
            assert greeting.startswith("5"), greeting


@contextmanager
def office(
    directory: Path,
    authority: Authority,
    *,
    script: Script | None = None,
    web: str = "",
    tables: str = CLIENTS,
    password: str = PASSWORD,
    more: str = "",
) -> Iterator[Office]:
    """An office that runs. `web` adds keys to [web], `more` to the [[smarthost]]."""
    behaviour = Behaviour(
        script or {},
        tls="starttls",
        context=authority.issue().server_context(),
        users={ACCOUNT: PASSWORD},
    )
    with Smarthost(behaviour) as smarthost:
        # What stands before the first table belongs to [web], which the file ends with.
        relay = RelayProcess(directory, f"{web}\n{tables}")
        relay.add_smarthost(
            smarthost.port, authority.ca_file, username=ACCOUNT, password=password, more=more
        )
        with relay:
            yield Office(relay, smarthost)
