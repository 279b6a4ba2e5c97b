"""Where an access token comes from, as the login step sees it."""

from dataclasses import dataclass
from typing import Protocol

from presets.verdict import Scope
from relay.config.model import Smarthost


@dataclass(frozen=True, slots=True)
class NoToken:
    """Why there is no access token. `cause` is a stable slug, `detail` plain words for the log.

    Scope ACCOUNT: somebody has to act, the account is paused. Any other scope passes by itself:
    the smarthost backs off. `retry_after_seconds`: the issuer asked for so much patience.
    """

    scope: Scope
    cause: str
    detail: str
    retry_after_seconds: float | None = None


class Tokens(Protocol):
    """Gives access tokens; asked before each login with OAuth2."""

    async def access_token(self, smarthost: Smarthost) -> str | NoToken:
        """A token that is good for a login now, refreshed if need be."""

    async def refused(self, smarthost: Smarthost, token: str) -> None:
        """The server did not take this token: it is not given again."""
