"""An issuer that repeats what it was sent: nobody sees or logs it."""

import logging
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pytest
from fakes.canary import Canary, forms, leaks
from fakes.issuer import Answer, Fault, Issuer
from fakes.oauth_accounts import at_google, at_microsoft, secret_file

from relay.account.provider import provider_of
from relay.smarthost.tokens import NoToken
from relay.spool.vault_entry import Grant

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
APP_SECRET = "CANARY-app~secret.+/=%&"
SECRETS = ("refresh_token", "client_secret", "code", "code_verifier")


class Parrot(Issuer):
    """Refuses with `status`, and repeats each secret of the request in every form."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.client_secret = APP_SECRET
        self.status = status
        self.repeated: list[str] = []

    def answer(self, path: str, form: dict[str, str], posted: bool) -> Fault:
        found = super().answer(path, form, posted)
        secrets = [form[name] for name in SECRETS if name in form]
        if not secrets:
            return found
        self.repeated += secrets
        said = " ".join(each.decode() for secret in secrets for each in forms(secret).values())
        return Fault(
            answer=Answer(self.status, {"error": "invalid_grant", "error_description": said})
        )


@pytest.mark.parametrize("kind", ["microsoft", "google"])
@pytest.mark.parametrize("status", [400, 401, 503, 200])
def test_what_an_issuer_repeats_of_a_refresh_is_not_shown(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    kind: Literal["microsoft", "google"],
    status: int,
) -> None:
    caplog.set_level(logging.DEBUG)
    with Parrot(status) as issuer:
        oauth2 = at_google(issuer, tmp_path)
        if kind == "microsoft":
            secret = secret_file(tmp_path, "app.secret", APP_SECRET)
            oauth2 = replace(at_microsoft(issuer), client_secret=secret)
        grant = Grant(issuer.new_grant(), None, None, NOW, NOW, oauth2.scopes)
        found = provider_of(oauth2).fetch(oauth2, issuer.username, grant, NOW)
        assert isinstance(found, NoToken)
        assert {APP_SECRET, grant.refresh_token} <= {*issuer.repeated}
        canaries = map(Canary, {*issuer.repeated})
        assert leaks(canaries, {"detail": repr(found), "log": caplog.text}) == []
