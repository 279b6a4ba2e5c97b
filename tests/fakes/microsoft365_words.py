"""The replies of smtp.office365.com that its fake gives by itself, in Microsoft's words.

Most are those of `transcripts/microsoft365.toml`; hosts and ids are our own.
"""

from typing import Any

from fakes.providers import refusals, transcript

_SPOKEN: dict[str, Any] = transcript("microsoft365")
_REFUSED = {name: refusal.reply for name, refusal in refusals("microsoft365").items()}

ORDINARY: dict[str, str] = {
    "CONNECT": _SPOKEN["greeting"],
    "STARTTLS": _SPOKEN["starttls"],
    "AUTH": _SPOKEN["logged_in"],
    "MAIL": _SPOKEN["sender"],
    "RCPT": _SPOKEN["recipient"],
    "DATA": _SPOKEN["data"],
    "DOT": _SPOKEN["accepted"],
    "BDAT": _SPOKEN["accepted"],
}
ANONYMOUS: str = _SPOKEN["anonymous"]
WRONG_PASSWORD = " ".join(str(_SPOKEN["wrong_login"]).split())
LOCKED = _REFUSED["account-locked"]
REFUSED_TOKEN = _REFUSED["auth-generic"]
BASIC_RETIRED = _REFUSED["basic-retired"]
MECHANISM = _REFUSED["unknown-mechanism"]
RATE = _REFUSED["rate"]
THREADS = _REFUSED["threads"]
TOO_MANY_RECIPIENTS = _REFUSED["recipients-per-message"]
DAILY_QUOTA = _REFUSED["quota-mapi"]
CROWDED = (
    "432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending "
    "for more information. [Hostname=AS8PR05MB8021.eurprd05.prod.outlook.com]"
)
TOKEN_CHALLENGE = '{"status":"401","schemes":"bearer","scope":"https://outlook.office.com/"}'


def ehlo(secure: bool) -> str:
    """The reply to EHLO, before TLS or under it."""
    words = (_SPOKEN["hostname"], *_SPOKEN["after_tls" if secure else "before_tls"])
    return "\n".join([*(f"250-{word}" for word in words[:-1]), f"250 {words[-1]}"])


def send_as_denied(account: str, address: str) -> str:
    """554 5.2.252, which comes after the final dot only."""
    return (
        f"554 5.2.252 SendAsDenied; {account} not allowed to send as {address}; "
        "STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied; "
        "Failed to process message due to a permanent exception with message "
        "Cannot submit message."
    )
