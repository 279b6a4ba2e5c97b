"""`diagnose explain` as support engineers use it: documents, exit codes, pastes over a pipe."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from typer.testing import CliRunner

from diagnose import cli
from presets.explain import Retry, Scope
from relay.intake.replies import REPLIES, Language, reply

KEYS = {"cause", "scope", "retry", "provider", "meaning", "steps"}


def document(*arguments: str, stdin: str | bytes | None = None, code: int = 0) -> dict[str, Any]:
    result = CliRunner().invoke(cli.app, ("explain", *arguments, "--json"), input=stdin)
    assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
    found: dict[str, Any] = json.loads(result.stdout)
    assert found.keys() >= KEYS
    assert found["scope"] in set(Scope)
    assert found["retry"] in set(Retry)
    assert found["meaning"]
    assert all(found["steps"])
    return found


SEED_MESSAGES = {
    "530: SSL-verbinding moet zijn ingeschakeld…": "account",
    "E-mail kan niet worden verstuurd": "connection",
    "Niet gevonden: Map Postvak IN": "connection",
    "Inloggen in e-mailprogramma niet gelukt…": "connection",
    "Kan dit item niet verzenden": "connection",
    "AvOutlook.RDOSession niet geïnstalleerd.": "service",
    "AvOutlook.RDOSession niet geinstalleerd": "service",
    "De verbinding naar het ingestelde SMTP-serveradres wordt als onveilig beschouwd": "tls",
    "Ongeldig e-mailadres in het veld Afzender": "sender",
    "Geen geldig e-mailadres in het veld Aan": "recipient",
}


@pytest.mark.parametrize(("message", "scope"), SEED_MESSAGES.items())
def test_the_messages_of_the_manuals_have_an_answer_in_dutch(message: str, scope: str) -> None:
    found = document(message, "--lang", "nl")
    assert (found["scope"], found["verdict"]) == (scope, "pass")
    assert found["steps"] != document(message, "--lang", "en")["steps"]


def test_the_ssl_message_is_mostly_a_wrong_login() -> None:
    found = document("530: SSL-verbinding moet zijn ingeschakeld", "--lang", "nl")
    assert found["cause"] == "wrong-password"
    assert "wachtwoord" in found["meaning"]
    assert "Gebruikersnaam" in found["steps"][0]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_a_pipe_may_have_any_encoding(encoding: str) -> None:
    pasted = "AvOutlook.RDOSession niet geïnstalleerd.\r\n".encode(encoding)
    assert document("-", stdin=pasted)["cause"] == "outlook-not-usable"


def test_the_finding_tells_which_reply_of_a_long_text_it_is_about() -> None:
    log = "10:00:01 250 ok\n10:00:02 550 5.1.1 <a@b.example>: User unknown\n10:00:03 221 bye"
    (finding,) = document("-", stdin=log)["findings"]
    assert finding["detail"] == "550 5.1.1 <a@b.example>: User unknown"
    assert finding["evidence"] == {
        "code": 550,
        "enhanced": "5.1.1",
        "text": "<a@b.example>: User unknown",
    }


def test_old_advice_is_a_finding_of_its_own() -> None:
    advice = "Zet lesssecureapps aan"
    assert document(advice)["cause"] == "obsolete-less-secure-apps"
    found = document(f"{advice}\n\n535 5.7.8 Username and Password not accepted - gsmtp")
    assert found["cause"] == "wrong-password"
    assert [each["id"] for each in found["findings"]] == [
        "wrong-password",
        "obsolete-less-secure-apps",
    ]


def test_what_is_not_known_says_what_is_known_of_it() -> None:
    code = document("599 5.9.9 flurble", code=3)
    assert (code["scope"], code["retry"], code["verdict"]) == ("unknown", "never", "unknown")
    (finding,) = code["findings"]
    assert finding["detail"] == code["meaning"] != finding["title"]
    text = document("flurble", code=3)
    assert text["cause"] == "unknown-text"
    (finding,) = text["findings"]
    assert finding["title"] == text["meaning"]


def test_the_same_code_differs_by_provider_and_phase() -> None:
    code = "550 5.7.30 Basic authentication is not supported for Client Submission."
    assert document(code, "--provider", "microsoft365")["cause"] == "basic-auth-retired"
    assert document("454 flurble", "--phase", "starttls", code=3)["scope"] == "tls"
    assert document("454 flurble", "--phase", "auth", code=3)["scope"] == "account"


@pytest.mark.parametrize("slug", [slug for slug, each in REPLIES.items() if each.code >= 400])
def test_every_refusal_of_our_own_relay_is_known(slug: str) -> None:
    details = {"address": "192.168.1.40", "limit": 50, "detail": "SIZE", "hops": 30}
    languages: tuple[Language, ...] = ("nl", "en")
    causes = {
        document(reply(slug, language, reference="7KQ2", **details).decode().strip())["cause"]
        for language in languages
    }
    assert len(causes) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows tells no CPU time of child processes")
def test_an_answer_takes_little_time_and_no_heavy_module() -> None:
    before = os.times()
    command = (sys.executable, "-X", "importtime", "-m", "diagnose", "explain", "550 5.1.1 gone")
    ended = subprocess.run((*command, "--lang", "en"), capture_output=True, text=True, check=False)
    after = os.times()
    assert ended.returncode == 3
    spent = after.children_user - before.children_user
    spent += after.children_system - before.children_system
    assert spent < 0.6
    modules = {line.rpartition("|")[2].strip() for line in ended.stderr.splitlines()}
    assert "presets.paste" in modules
    assert not modules & {"checkdmarc", "dns", "rich", "msal", "cryptography", "starlette"}
