"""Configurations of accounts at the fake issuer, for each way to get tokens."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from fakes.issuer import Issuer

from relay.config.model import FlowKind, OAuth2, SecretRef
from relay.config.model import Issuer as Kind

SMTP_SEND = ("https://outlook.office.com/SMTP.Send", "offline_access")
APP = ("https://outlook.office365.com/.default",)
GMAIL = ("https://mail.google.com/",)


def secret_file(directory: Path, name: str, text: str) -> SecretRef:
    """A secret in a file of our own."""
    path = directory / name
    path.write_text(text)
    path.chmod(0o600)
    return SecretRef("file", os.fspath(path))


def at_microsoft(issuer: Issuer, flow: FlowKind = "code", **more: Any) -> OAuth2:
    """An account at the issuer as Microsoft."""
    app_only = flow == "client-credentials"
    tenant = "bakery" if app_only else "organizations"
    known: dict[str, Any] = {
        "flow": flow,
        "issuer": Kind.MICROSOFT,
        "tenant": tenant,
        "authority": issuer.authority(tenant),
        "scopes": APP if app_only else SMTP_SEND,
        "client_id": issuer.client_id,
        "ca_file": issuer.ca_file,
    }
    return OAuth2(**{**known, **more})


def at_google(issuer: Issuer, directory: Path, flow: FlowKind = "code", **more: Any) -> OAuth2:
    """An account at the issuer as Google; its secret lies in `directory`."""
    service = flow == "service-account"
    text = issuer.service_account_json if service else issuer.client_secret
    known: dict[str, Any] = {
        "flow": flow,
        "issuer": Kind.GOOGLE,
        "authorize_endpoint": issuer.google_endpoints.authorize,
        "token_endpoint": issuer.google_endpoints.token,
        "scopes": GMAIL,
        "client_id": None if service else issuer.client_id,
        "client_secret": secret_file(directory, "google.secret", text),
        "ca_file": issuer.ca_file,
    }
    return OAuth2(**{**known, **more})
