"""AUTH XOAUTH2: a login with an access token, and what the server says where it is refused.

One initial response. To a refusal the server first answers 334 with JSON in base64 (status,
schemes, scope), and after an empty line with the reply that counts. Sources: Google's "OAuth 2.0
Mechanism" and Microsoft's "Authenticate an IMAP, POP or SMTP connection using OAuth".
"""

import base64
import binascii
import json
import re

import aiosmtplib
from aiosmtplib.errors import SMTPAuthenticationError, SMTPException
from aiosmtplib.response import SMTPResponse

from presets.reply import Reply, sanitise
from relay.smarthost.masking import masked_token

MECHANISM = "XOAUTH2"

_CONTINUE = 334
_ACCEPTED = 235
_CHALLENGE_BYTES = 4096
_VALUE_CHARACTERS = 100
_KEYS = ("status", "schemes", "scope", "error", "error_description")
_REFUSALS = ("status=400", "status=401")


class TokenRefusedError(SMTPAuthenticationError):
    """The server's last word, with what its challenge said before, empty where it said nothing."""

    def __init__(self, code: int, message: str, challenge: str) -> None:
        super().__init__(code, message)
        self.challenge = challenge


class TokenRefusedUnsaidError(SMTPException):
    """The challenge refuses the token, and the server went without the reply that says so."""

    def __init__(self, challenge: str) -> None:
        super().__init__(challenge)
        self.challenge = challenge


async def log_in_with_token(client: aiosmtplib.SMTP, username: str, token: str) -> Reply:
    """One AUTH command.

    Raises TokenRefusedError, TokenRefusedUnsaidError, SMTPException, OSError or ValueError.
    """
    response = await client.execute_command(
        b"AUTH", MECHANISM.encode(), initial_response(username, token)
    )
    challenge = ""
    if response.code == _CONTINUE:
        challenge = decoded_challenge(response.message)
        response = await _last_word(client, challenge)
    if response.code != _ACCEPTED:
        raise TokenRefusedError(response.code, response.message, challenge)
    return Reply.of(response.code, masked_token(response.message, token).splitlines())


async def _last_word(client: aiosmtplib.SMTP, challenge: str) -> SMTPResponse:
    try:
        return await client.execute_command(b"")
    except (SMTPException, OSError) as error:
        if challenge.split(" ")[0] in _REFUSALS:
            raise TokenRefusedUnsaidError(challenge) from error
        raise


def initial_response(username: str, token: str) -> bytes:
    """What follows AUTH XOAUTH2. Raises ValueError: a control character would forge a field."""
    if re.search(r"[\x00-\x1f\x7f]", username + token):
        raise ValueError("a control character in the user name or the token")
    return base64.b64encode(f"user={username}\x01auth=Bearer {token}\x01\x01".encode())


def decoded_challenge(text: str) -> str:
    """The JSON of a 334 as `status=400 schemes=Bearer scope=...`; empty where it is none."""
    try:
        data = base64.b64decode(text[:_CHALLENGE_BYTES].strip(), validate=True)
        said = json.loads(data)
    except (binascii.Error, ValueError, RecursionError):
        return ""
    if not isinstance(said, dict):
        return ""
    return " ".join(
        f"{key}={sanitise(str(said[key]), _VALUE_CHARACTERS)}"
        for key in _KEYS
        if isinstance(said.get(key), str | int)
    )
