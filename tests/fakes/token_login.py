"""A smarthost that takes the fake issuer's tokens, and the entry that logs in there with them."""

from datetime import datetime
from pathlib import Path
from typing import Any

from fakes.certificates import Authority
from fakes.delivery_rig import rig_smarthost
from fakes.issuer import Issuer
from fakes.script import Behaviour
from fakes.smarthost import Smarthost as Fake

from relay.config.model import AuthMethod, OAuth2, Smarthost, TlsMode
from relay.spool.vault_entry import Grant

SCOPES = ("https://outlook.office.com/SMTP.Send", "offline_access")


def token_behaviour(issuer: Issuer, authority: Authority, **keys: Any) -> Behaviour:
    """Offers XOAUTH2 alone, and asks the issuer whose a token is."""
    keys = {"users": {issuer.username: "-"}, "mechanisms": ("XOAUTH2",), **keys}
    context = authority.issue().server_context()
    return Behaviour(tls="starttls", context=context, user_of=issuer.user_of, **keys)


def token_entry(
    fake: Fake, issuer: Issuer, authority: Authority, name: str = "m365", **keys: Any
) -> Smarthost:
    """An entry whose tokens come from the issuer as Microsoft's do."""
    keys = {
        "tls": TlsMode.STARTTLS,
        "ca_file": authority.ca_file,
        "auth": AuthMethod.OAUTH2,
        "username": issuer.username,
        "oauth2": oauth2_at(issuer.authority(), issuer.ca_file, issuer.client_id),
        **keys,
    }
    return rig_smarthost(fake, name, **keys)


def oauth2_at(authority: str, ca_file: Path, client_id: str, **keys: Any) -> OAuth2:
    """The code flow of an app that is registered there."""
    known = {"authority": authority, "ca_file": ca_file, "client_id": client_id}
    return OAuth2(scopes=SCOPES, **known, **keys)


def consented(issuer: Issuer, at: datetime) -> Grant:
    """What a consent of before left in the vault, without an access token."""
    return Grant(issuer.new_grant(), None, None, at, at, SCOPES)


def token_requests(issuer: Issuer) -> list[str | None]:
    """The refresh tokens that were offered to the issuer, in order."""
    return [asked.form.get("refresh_token") for asked in issuer.requests if asked.page == "token"]
