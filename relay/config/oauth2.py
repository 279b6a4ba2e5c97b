"""`[smarthost.oauth2]`: whose tokens, and where they come from, the preset filling in what is known."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from relay.config import locate, schema
from relay.config.builder import Builder
from relay.config.model import FlowKind, Issuer, OAuth2
from relay.config.oauth2_secrets import check_secrets

if TYPE_CHECKING:
    from presets.model import Preset

_FLOWS: dict[Issuer, tuple[FlowKind, ...]] = {
    Issuer.MICROSOFT: ("code", "device", "client-credentials"),
    # Google's device flow has no scope for mail.
    Issuer.GOOGLE: ("code", "service-account"),
}
_MICROSOFT = "login.microsoftonline.com"
_GOOGLE = "accounts.google.com"
_SHARED_TENANTS = ("common", "organizations", "consumers")


def resolve_oauth2(
    table: schema.OAuth2Table | None,
    preset: Preset | None,
    username: str | None,
    where: tuple[locate.Path, Builder],
) -> OAuth2 | None:
    """How tokens are obtained; None with an error noted where that cannot be told."""
    path, build = where
    given = table or schema.OAuth2Table()
    issuer = _issuer(given, preset)
    if issuer is None:
        build.problems.error(
            (*path, "authority"),
            "ontbreekt; van deze server is niet bekend wie de tokens uitgeeft: noem authority"
            " (Microsoft) of token_endpoint (Google), of gebruik een (app-)wachtwoord",
            "is missing; who issues tokens for this server is not known: name authority"
            " (Microsoft) or token_endpoint (Google), or use an (app) password",
        )
        return None
    _check_flow(given, issuer, where)
    _check_needed(given, issuer, username, where)
    certificate = build.secret(given.certificate, (*path, "certificate"))
    client_secret = build.secret(given.client_secret, (*path, "client_secret"))
    authorize_endpoint = given.authorize_endpoint or _fact(preset, "authorize_endpoint")
    if given.flow in _FLOWS[issuer]:
        check_secrets(given.flow, client_secret, certificate, where)
    _check_dates(given, where)
    if issuer is Issuer.GOOGLE and given.flow == "code" and authorize_endpoint is None:
        build.problems.error(
            (*path, "authorize_endpoint"),
            "ontbreekt; het hoort bij token_endpoint",
            "is missing; it belongs with token_endpoint",
        )
    return OAuth2(
        flow=given.flow,
        issuer=issuer,
        tenant=given.tenant,
        authority=_authority(given, preset) if issuer is Issuer.MICROSOFT else None,
        authorize_endpoint=authorize_endpoint,
        token_endpoint=given.token_endpoint or _fact(preset, "token_endpoint"),
        scopes=tuple(given.scopes or _scopes(given.flow, issuer, preset)),
        client_id=given.client_id,
        client_secret=client_secret,
        certificate=certificate,
        subject=given.subject,
        secret_expires=given.secret_expires,
        ca_file=build.authority(given.ca_file, (*path, "ca_file")),
    )


def _issuer(table: schema.OAuth2Table, preset: Preset | None) -> Issuer | None:
    if table.authority is not None:
        return Issuer.MICROSOFT
    if table.token_endpoint is not None:
        return Issuer.GOOGLE
    if _MICROSOFT in (_fact(preset, "authority") or ""):
        return Issuer.MICROSOFT
    return Issuer.GOOGLE if _GOOGLE in (_fact(preset, "issuer") or "") else None


def _authority(table: schema.OAuth2Table, preset: Preset | None) -> str:
    """The address with the tenant in it: `https://login.microsoftonline.com/organizations`."""
    template = table.authority or _fact(preset, "authority") or f"https://{_MICROSOFT}"
    if "{tenant}" not in template:
        if table.tenant is None and urlsplit(template).path.strip("/"):
            return template.rstrip("/")  # written with its tenant
        template = f"{template.rstrip('/')}/{{tenant}}"
    known = preset.oauth2.tenants if preset is not None and preset.oauth2 is not None else ()
    return template.replace("{tenant}", table.tenant or next(iter(known), "organizations"))


def _scopes(flow: FlowKind, issuer: Issuer, preset: Preset | None) -> tuple[str, ...]:
    oauth2 = preset.oauth2 if preset is not None else None
    for known in oauth2.flows if oauth2 is not None else ():
        if known.kind == flow and known.scopes:
            return known.scopes
    if issuer is Issuer.GOOGLE:
        return (_fact(preset, "scope") or "https://mail.google.com/",)
    if flow == "client-credentials":
        return ("https://outlook.office365.com/.default",)
    return ("https://outlook.office.com/SMTP.Send", "offline_access")


def _fact(preset: Preset | None, name: str) -> str | None:
    return preset.oauth2.value(name) if preset is not None and preset.oauth2 is not None else None


def _check_flow(
    table: schema.OAuth2Table, issuer: Issuer, where: tuple[locate.Path, Builder]
) -> None:
    path, build = where
    if table.flow not in _FLOWS[issuer]:
        names = " of ".join(_FLOWS[issuer]), " or ".join(_FLOWS[issuer])
        build.problems.error(
            (*path, "flow"),
            f"{table.flow!r} kan bij {issuer.label} niet voor mail; kies {names[0]}",
            f"{table.flow!r} cannot be had for mail at {issuer.label}; choose {names[1]}",
        )


def _check_needed(
    table: schema.OAuth2Table,
    issuer: Issuer,
    username: str | None,
    where: tuple[locate.Path, Builder],
) -> None:
    """Each flow's own needs; the texts say where to find what is missing."""
    path, build = where

    def need(key: str, nl: str, en: str) -> None:
        if getattr(table, key) is None:
            build.problems.error((*path, key), f"ontbreekt; {nl}", f"is missing; {en}")

    if username is None:
        build.problems.error(
            (*path[:-1], "username"),
            "ontbreekt; noem het mailadres waarmee wordt ingelogd",
            "is missing; name the mail address that logs in",
        )
    if table.flow == "service-account":
        need(
            "client_secret",
            "verwijs naar het JSON-sleutelbestand van het serviceaccount",
            "refer to the JSON key file of the service account",
        )
        return
    need(
        "client_id",
        f"het staat bij uw app-registratie bij {issuer.label}",
        f"it is shown at your app registration at {issuer.label}",
    )
    if issuer is Issuer.GOOGLE:
        need(
            "client_secret",
            "Google geeft elke app een geheim mee, ook een van het type Desktop",
            "Google gives each app a secret, one of type Desktop too",
        )
    if table.flow == "client-credentials":
        _check_tenant(table, where)
        if table.certificate is None:
            need(
                "client_secret",
                "geef client_secret of certificate",
                "give client_secret or certificate",
            )


def _check_tenant(table: schema.OAuth2Table, where: tuple[locate.Path, Builder]) -> None:
    """An app signs in at one tenant, whoever wrote it: in `tenant` or in `authority`."""
    path, build = where
    if table.tenant is None:
        if table.authority is None or not urlsplit(table.authority).path.strip("/"):
            build.problems.error(
                (*path, "tenant"),
                "ontbreekt; noem het tenant-id, dat staat bij uw app-registratie",
                "is missing; name the tenant id, it is shown at your app registration",
            )
    elif table.tenant in _SHARED_TENANTS:
        build.problems.error(
            (*path, "tenant"),
            f"{table.tenant!r} kan hier niet: een app meldt zich aan bij een tenant; noem het id",
            f"{table.tenant!r} is not possible here: an app signs in at one tenant; name its id",
        )


def _check_dates(table: schema.OAuth2Table, where: tuple[locate.Path, Builder]) -> None:
    path, build = where
    if table.secret_expires is None:
        return
    if table.client_secret is None or table.certificate is not None:
        build.problems.warning(
            (*path, "secret_expires"),
            "heeft geen effect zonder client_secret",
            "has no effect without client_secret",
        )
