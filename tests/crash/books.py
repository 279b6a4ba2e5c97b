"""Who was promised what, and what became of it: the books of a relay that is being broken.

Programs send numbered messages and note the relay's answer to each. Afterwards every 250 must be
accounted for: delivered, waiting, held, or failed with a report; nothing that was refused may
have arrived; and what arrived twice must be marked in doubt, or have been sent twice.
"""

import itertools
import smtplib  # noqa: TID251 - a client like any other
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from fakes.relay_process import RelayProcess
from fakes.smarthost import Smarthost

SENDER = "info@mijnbakkerij.nl"
REFUSED = "weg"
"""The local part's beginning of recipients whom the smarthost refuses for good."""


def refuses_some(argument: str) -> str | None:
    """The smarthost's answer to RCPT."""
    return "550 5.1.1 no such mailbox" if f"<{REFUSED}" in argument else None


@dataclass(slots=True)
class Books:
    """What was answered, by the recipient, of whom each message has one of its own."""

    acknowledged: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    unanswered: set[str] = field(default_factory=set)

    def account_for(self, relay: RelayProcess, smarthost: Smarthost) -> "Account":
        """Compares with what arrived and with what the relay says; nothing may be under way."""
        arrived = Counter(
            path.address
            for each in smarthost.accepted
            if each.sender.address
            for path in each.recipients
        )
        reported = {
            name
            for each in smarthost.accepted
            if not each.sender.address
            for name in self.acknowledged | self.unanswered
            if name.encode() in each.content
        }
        kept: dict[str, str] = {}
        in_doubt: set[str] = set()
        for state in ("queued", "held", "failed", "delivered"):
            listed = relay.run(
                "queue", "list", "--json", "--state", state, "--limit", "10000"
            ).json["messages"]
            for message in listed:
                for recipient in message["recipients"]:
                    kept[recipient["address"]] = recipient["state"]
                    if message["in_doubt"]:
                        in_doubt.add(recipient["address"])
        waiting = {name for name, state in kept.items() if state in ("queued", "held")}
        failed = {name for name, state in kept.items() if state == "failed"}
        return Account(
            lost=self.acknowledged - set(arrived) - waiting - (failed & (reported | waiting)),
            refused_and_delivered=self.refused & set(arrived),
            twice={name for name, times in arrived.items() if times > 1},
            in_doubt=in_doubt,
            arrived=len(arrived),
            failed=failed,
            unreported=failed - reported,
        )


@dataclass(frozen=True, slots=True)
class Account:
    """The result; `lost`, `refused_and_delivered` and `wrongly_twice` must be empty."""

    lost: set[str]
    refused_and_delivered: set[str]
    twice: set[str]
    in_doubt: set[str]
    arrived: int
    failed: set[str]
    unreported: set[str]

    @property
    def wrongly_twice(self) -> set[str]:
        return self.twice - self.in_doubt


class Programs:
    """Programs that send without a pause, and sooner or later again when refused for now."""

    def __init__(self, relay: RelayProcess, books: Books, count: int = 3) -> None:
        self._relay, self._books = relay, books
        self._stopped = threading.Event()
        self._numbers = itertools.count()
        self._threads = [threading.Thread(target=self._send_on) for _ in range(count)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _send_on(self) -> None:
        while not self._stopped.is_set():
            number = next(self._numbers)
            kind = REFUSED if number % 10 == 9 else "klant"
            name = f"{kind}{number}@example.net"
            if number % 25 == 24:
                self._attempt(name, self._too_large)
            else:
                size = 300_000 if number % 40 == 20 else 500
                body = f"Subject: {name}\r\n\r\n{'x' * size}\r\n"
                self._attempt(name, lambda client, to: client.sendmail(SENDER, [to], body))  # noqa: B023

    def _attempt(self, name: str, send: Callable[[smtplib.SMTP, str], object]) -> None:
        books = self._books
        try:
            with smtplib.SMTP("127.0.0.1", self._relay.port, timeout=10) as client:
                send(client, name)
                books.acknowledged.add(name)
        except smtplib.SMTPResponseException as error:
            (books.refused if error.smtp_code >= 500 else books.unanswered).add(name)
        except smtplib.SMTPRecipientsRefused:
            books.refused.add(name)
        except (OSError, smtplib.SMTPException):
            if name not in books.acknowledged:
                books.unanswered.add(name)
            time.sleep(0.02)  # noqa: TID251 - the relay is being killed and started

    @staticmethod
    def _too_large(client: smtplib.SMTP, name: str) -> None:
        """A message beyond the limit that declares no size: refused after the final dot."""
        client.ehlo()
        client.esmtp_features.pop("size", None)
        client.sendmail(SENDER, [name], f"Subject: {name}\r\n\r\n{'x' * 600_000}\r\n")
