"""A spool as E-MailRelay leaves it: envelopes of its format 2821.7 with their contents."""

from collections.abc import Sequence
from pathlib import Path


class EmailrelaySpool:
    """Messages in `directory`, numbered as they are added; lines end in CRLF as there."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._count = 0
        directory.mkdir()

    def add(
        self,
        content: bytes,
        recipients: Sequence[str] = ("klant@example.net",),
        *,
        sender: str = "info@mijnbakkerij.nl",
        state: str = "",
        local: Sequence[str] = (),
        more: dict[str, str] | None = None,
        after: str = "",
    ) -> Path:
        """Writes one message; the path of its envelope. `more` replaces values of the envelope."""
        self._count += 1
        stem = self.directory / f"emailrelay.4711.1700000000.{self._count}"
        values = {
            "Format": "#2821.7",
            "Content": "8bit",
            "From": sender,
            "ToCount": str(len(recipients) + len(local)),
        }
        tail = {
            "Authentication": "",
            "Client": "192.168.1.20",
            "ClientCertificate": "-----BEGIN CERTIFICATE-----\r\n MIIB\r\n X-MailRelay-End: 1",
            "MailFromAuthIn": "",
            "MailFromAuthOut": "",
            "ForwardTo": "",
            "ForwardToAddress": "",
            "ClientAccountSelector": "",
            "Utf8MailboxNames": "0",
            "End": "1",
        }
        changed = more or {}
        lines = [f"{name}: {changed.get(name, value)}" for name, value in values.items()]
        lines += [f"To-Local: {each}" for each in local] + [
            f"To-Remote: {each}" for each in recipients
        ]
        lines += [f"{name}: {changed.get(name, value)}" for name, value in tail.items()]
        text = "".join(f"X-MailRelay-{line}\r\n" for line in lines) + after
        envelope = Path(f"{stem}.envelope{state}")
        envelope.write_bytes(text.encode())
        Path(f"{stem}.content").write_bytes(content)
        return envelope
