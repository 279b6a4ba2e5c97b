"""AUTH for programs that insist on a login: anything is accepted, nothing is kept.

Offered only to clients with `any_login`, who are let in by their address already.
"""

import base64
import binascii
from collections.abc import Awaitable, Callable

_CHALLENGES: dict[str, tuple[bytes, ...]] = {
    "PLAIN": (b"",),
    "LOGIN": (b"Username:", b"Password:"),
    "CRAM-MD5": (b"<relay@relay>",),
}

MECHANISMS = ("PLAIN", "LOGIN")
"""As offered in EHLO. CRAM-MD5 is understood when a program tries it unasked."""


async def take_login(
    argument: bytes, ask: Callable[[bytes], Awaitable[bytes | None]]
) -> tuple[str, str | None]:
    """Play the server's part of a login: the slug of the reply and the mechanism.

    `ask` sends a 334 line and gives the client's answer, None when it is gone. Answers are
    looked at only so far as to see that they are base64 (RFC 4954 section 4).
    """
    words = argument.split()
    mechanism = words[0].decode("ascii", "replace").upper() if words else ""
    challenges = _CHALLENGES.get(mechanism)
    if challenges is None:
        return "auth-mechanism", None
    answers = words[1:2]
    for challenge in challenges[len(answers) :]:
        answer = await ask(b"334 " + base64.b64encode(challenge) + b"\r\n")
        if answer is None or answer.strip() == b"*":
            return "auth-cancelled", None
        answers.append(answer.strip())
    for answer in answers:
        try:
            base64.b64decode(b"" if answer == b"=" else answer, validate=True)
        except (binascii.Error, ValueError):
            return "auth-base64", None
    return "auth-ok", mechanism
