"""A mail transaction: what MAIL and RCPT have said (RFC 5321 section 3.3)."""

from dataclasses import dataclass, field

from relay.envelope import Envelope, Recipient
from relay.intake.path import MailCommand, RcptCommand


@dataclass(slots=True)
class Transaction:
    """Between MAIL and DATA; recipients by address, each once."""

    mail: MailCommand
    recipients: dict[str, Recipient] = field(default_factory=dict)
    refused_recipients: int = 0

    def add(self, command: RcptCommand) -> None:
        """One more recipient."""
        self.recipients[command.address] = Recipient(command.address, command.notify, command.orcpt)

    def envelope(self) -> Envelope:
        """All of it."""
        return Envelope(
            reverse_path=self.mail.reverse_path,
            recipients=tuple(self.recipients.values()),
            ret=self.mail.ret,
            envid=self.mail.envid,
            body_8bit=self.mail.body_8bit,
            smtputf8=self.mail.smtputf8,
            declared_size_bytes=self.mail.size,
        )
