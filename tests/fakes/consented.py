"""A relay's Microsoft 365 account for which somebody consented before, at an issuer of our own."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from fakes.certificates import Authority
from fakes.issuer import Issuer
from fakes.relay_file import RelayFile
from fakes.script import Behaviour

from relay.spool.vault import FileVault, tokens_file
from relay.spool.vault_entry import Grant

HOST = "127.0.0.1"
SCOPES = ("https://outlook.office.com/SMTP.Send", "offline_access")


def add_consented(
    relay: RelayFile,
    port: int,
    ca_file: Path,
    issuer: Issuer,
    consented_at: datetime,
    more: str = "",
) -> str:
    """Adds a [[smarthost]] that logs in as `issuer.username`; `more` adds keys.

    The refresh token of the consent is put into the vault of the relay's spool, and returned.
    """
    relay.tables += f"""
[[smarthost]]
name = "isp"
preset = "microsoft365"
host = "{HOST}"
port = {port}
tls = "starttls"
ca_file = "{ca_file}"
auth = "oauth2"
username = "{issuer.username}"
{more}
[smarthost.oauth2]
flow = "code"
client_id = "{issuer.client_id}"
authority = "{issuer.url}"
ca_file = "{issuer.ca_file}"
"""
    token = issuer.new_grant()
    grant = Grant(token, None, None, consented_at, consented_at, SCOPES)
    asyncio.run(_vault(relay).keep(HOST, issuer.username, grant))
    return token


def token_behaviour(
    authority: Authority,
    issuer: Issuer,
    *mechanisms: str,
    passwords: Mapping[str, str] | None = None,
) -> Behaviour:
    """A smarthost that lets in whom the issuer's tokens name, and those with a password."""
    return Behaviour(
        tls="starttls",
        context=authority.issue().server_context(),
        users={**(passwords or {}), issuer.username: "no password at all"},
        mechanisms=mechanisms,
        user_of=issuer.user_of,
    )


def kept_grant(relay: RelayFile, username: str) -> Grant:
    """What the relay's vault holds now."""
    grant = asyncio.run(_vault(relay).grant(HOST, username))
    assert grant is not None
    return grant


def _vault(relay: RelayFile) -> FileVault:
    return FileVault(tokens_file(relay.spool))
