"""From the answers to the text of `relay.toml`, each part with a remark that says what it is for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from relay.config.syntax import account_address
from relay.setup.answers import groups
from relay.setup.questions import LEARN, YES, Situation, auth_of, here_only
from relay.setup.remarks import remark

LOOPBACK = ("127.0.0.1", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """What only options say: no question is asked about it. `secrets` are file names, by answer."""

    today: date
    hostname: str
    secrets: Mapping[str, str]
    spool_url: str | None = None
    web: str | None = None
    ca_file: str | None = None
    authority: str | None = None
    issuer_ca_file: str | None = None


def compose(at: Situation, extras: Extras) -> str:
    """The whole file."""
    answers = at.answers
    language = answers["language"]
    parts = [
        remark("head", language, day=extras.today.isoformat()),
        _pairs(
            {
                "language": language,
                "hostname": extras.hostname,
                "postmaster": answers["postmaster"],
            }
        ),
        *([f"\n[spool]\n{_pairs({'url': extras.spool_url})}"] if extras.spool_url else []),
        *_listeners(at),
        *_clients(at),
        f"\n{_smarthost(at, extras)}",
        *([f"\n[web]\n{_pairs(_web(extras.web))}"] if extras.web else []),
    ]
    return "\n".join(parts) + "\n"


def smarthost_name(at: Situation) -> str:
    """What the smarthost is called, in the file and by commands."""
    return at.preset.id if at.preset is not None else "isp"


def client_name(language: str) -> str:
    """What the machines of the office are called where nobody named them."""
    return "kantoor" if language == "nl" else "office"


def _listeners(at: Situation) -> Iterator[str]:
    language = at.answers["language"]
    yield "\n" + remark("listener", language)
    yield "\n\n".join(
        f"[[listener]]\n{_pairs({'address': address})}"
        for address in at.answers["listen"].split(", ")
    )


def _clients(at: Situation) -> Iterator[str]:
    """No table at all where the default, this machine alone, says the same."""
    answers, language = at.answers, at.answers["language"]
    any_login = answers["any_login"] == YES
    tables: dict[str, list[str]] = {}
    if here_only(at) or answers["machines"] == LEARN:
        if not any_login:
            yield "\n" + remark("no-client", language)
            return
        if answers["machines"] == LEARN:
            tables[client_name(language)] = []
    else:
        for name, network in groups(answers["machines"]):
            plain = str(network).removesuffix("/32").removesuffix("/128")
            tables.setdefault(name or client_name(language), []).append(plain)
    given = {network for networks in tables.values() for network in networks}
    own = [address for address in LOOPBACK if address not in given]
    tables = {"local": [*tables.pop("local", []), *own], **tables}
    yield "\n" + remark("client-login" if any_login else "client", language)
    yield "\n\n".join(
        "[[client]]\n"
        + _pairs({"name": name, "networks": networks, "any_login": any_login or None})
        for name, networks in tables.items()
        if networks or any_login
    )


def _smarthost(at: Situation, extras: Extras) -> str:
    answers, preset = at.answers, at.preset
    language, auth = answers["language"], auth_of(at)
    lines = [remark("smarthost", language)]
    if preset is not None:
        lines.append(remark("preset", language, name=preset.name, advice=preset.advice(language)))
    lines.append("[[smarthost]]")
    lines.append(
        _pairs(
            {
                "name": smarthost_name(at),
                "preset": preset.id if preset is not None else None,
                "host": answers.get("host"),
                "port": int(answers["port"]) if "port" in answers else None,
                "tls": answers.get("tls"),
                "ca_file": extras.ca_file,
                "auth": auth,
                "username": answers.get("username"),
            }
        )
    )
    if auth == "password":
        lines.append(remark("secret", language))
        lines.append(_secret("password", extras.secrets["password"]))
    if (pattern := allowed_senders(at)) is not None:
        lines.append(_pairs({"allowed_senders": [pattern]}))
    lines.append(remark(f"sender-{answers['sender']}", language))
    lines.append(f"sender = {_policy(at)}")
    if auth == "oauth2":
        lines.append("")
        lines.append(remark("oauth2", language, name=smarthost_name(at)))
        lines.append("[smarthost.oauth2]")
        lines += _oauth2(at, extras)
    return "\n".join(lines)


def allowed_senders(at: Situation) -> str | None:
    """What the account may send as, where neither its user name nor the preset's rule tells."""
    preset = at.preset
    if preset is None or preset.sender_rule.must_match_account is False:
        return None
    username = at.answers.get("username")
    if username is None or account_address(username) is not None:
        return None
    return f"*@{at.answers['address'].rpartition('@')[2]}"


def _policy(at: Situation) -> str:
    policy = at.answers["sender"]
    if policy == "keep":
        return '{ policy = "keep" }'
    own = account_address(at.answers.get("username")) or at.answers["address"]
    return f"{{ policy = {_text(policy)}, address = {_text(own)} }}"


def _oauth2(at: Situation, extras: Extras) -> Iterator[str]:
    answers = at.answers
    yield _pairs(
        {
            "flow": answers["flow"],
            "tenant": answers.get("tenant"),
            "client_id": answers.get("client_id"),
            "authority": extras.authority,
            "ca_file": extras.issuer_ca_file,
        }
    )
    if "client_secret" in extras.secrets:
        yield _secret("client_secret", extras.secrets["client_secret"])


def _web(web: str) -> dict[str, object]:
    return {"enabled": False} if web == "off" else {"address": web}


def _secret(key: str, file: str) -> str:
    return f"{key} = {{ file = {_text(file)} }}"


def _pairs(values: Mapping[str, object]) -> str:
    return "\n".join(
        f"{key} = {_value(value)}" for key, value in values.items() if value is not None
    )


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_text, value))}]"
    return _text(str(value))


def _text(value: str) -> str:
    # A JSON string is a TOML basic string; escapes beyond the first plane would differ.
    return json.dumps(value, ensure_ascii=False)
