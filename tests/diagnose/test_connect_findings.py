"""What attempts add up to: how bad each trouble is beside what works."""

import pytest
from fakes.script import Behaviour
from fakes.smarthost import Smarthost

from diagnose.addresses import Address
from diagnose.checks.attempt import Attempt, Outcome, Place, attempt
from diagnose.checks.greeting import greeted_name, same_owner, service
from diagnose.checks.reach import judge
from diagnose.finding import Finding
from diagnose.network import Heard
from diagnose.runner import Circumstances
from diagnose.target import Target, read_target
from diagnose.wording import Language
from presets.catalog import catalog

HOST = "smtp.example.net"
FOUR, SIX = Address("192.0.2.7", 4), Address("2001:db8::7", 6)


def at(
    port: int,
    cause: str,
    outcome: Outcome = "timeout",
    address: Address = FOUR,
    *,
    promised: bool = False,
) -> Attempt:
    place = Place(HOST, port, promised=promised)
    known = {"error": "x", "from_address": "10.0.0.5", "name": "a.b", "product": "P", "issuer": "i"}
    evidence = {**known, "source": "https://x.test/"}
    return Attempt(place, address, outcome, cause, 1, "220 a.b", evidence)


def opened(port: int, address: Address = FOUR, *, promised: bool = False) -> Attempt:
    return at(port, "open", "open", address, promised=promised)


def judged(*attempts: Attempt, language: Language = "en") -> list[Finding]:
    return judge(Target(HOST, HOST), attempts, Circumstances(language))


def severities(*attempts: Attempt) -> dict[str, str]:
    return {each.id: each.severity.value for each in judged(*attempts)}


def test_no_port_of_a_server_answers() -> None:
    found = judged(*(at(port, "dropped") for port in (25, 465, 587, 2525)))
    assert [(each.id, each.severity.value) for each in found] == [
        ("port-25-dropped", "error"),
        ("dropped", "error"),
    ]
    assert "port 465, 587, 2525" in found[1].title
    assert "587" in found[0].remedy[0]


def test_one_port_is_left_over() -> None:
    found = judged(at(25, "dropped"), at(465, "refused", "refused"), opened(587))
    assert {each.id: each.severity.value for each in found} == {
        "port-25-dropped": "info",
        "refused": "info",
        "open": "ok",
        "only-open-port": "info",
    }
    assert found[-1].evidence["port"] == 587


def test_a_presets_own_port_counts_for_more() -> None:
    # 587 is what the preset promises: that 2525 answers does not help its users.
    closed = (at(587, "dropped", promised=True), at(25, "refused", "refused"), opened(2525))
    assert severities(*closed) == {
        "dropped": "error",
        "refused": "info",
        "open": "ok",
        "only-open-port": "info",
    }
    one_of_two = (at(465, "refused", "refused", promised=True), opened(587, promised=True))
    assert severities(*one_of_two)["refused"] == "warning"


def test_ipv6_beside_ipv4() -> None:
    unreachable = at(587, "unreachable", "unreachable", SIX)
    assert severities(opened(587), unreachable) == {"open": "ok", "no-ipv6": "info"}
    assert severities(at(587, "dropped"), unreachable) == {"dropped": "error", "no-ipv6": "error"}
    dropped = severities(opened(587), at(587, "dropped", address=SIX))
    assert dropped == {"open": "ok", "one-address-fails": "warning"}
    over_4 = at(587, "unreachable", "unreachable")
    assert severities(over_4) == {"unreachable": "error"}


def test_something_in_between_is_told_though_another_port_works() -> None:
    found = severities(opened(465), at(587, "antivirus", "intercepted"))
    assert found["antivirus"] == "warning"
    assert severities(at(587, "antivirus", "intercepted")) == {"antivirus": "error"}


def test_a_port_for_reading_mail_is_told_whatever_happens_there() -> None:
    assert severities(at(995, "dropped", promised=True)) == {"mail-reading-port": "error"}
    assert severities(at(110, "refused", "refused", promised=True)) == {
        "mail-reading-port": "error"
    }


@pytest.mark.parametrize("language", ["nl", "en"])
@pytest.mark.parametrize(
    "cause",
    [
        *("dropped", "refused", "unreachable", "blocked-here", "no-greeting", "closed-at-once"),
        *("endless-greeting", "tls-fails", "mail-reading-port", "no-mail-server", "another-name"),
        *("antivirus", "smtp-inspection", "no-such-name", "no-address", "dns-failed"),
    ],
)
def test_each_trouble_has_words_and_a_remedy(cause: str, language: Language) -> None:
    (found,) = judged(at(587, cause), language=language)
    assert found.title
    assert found.remedy
    assert "None" not in " ".join((found.title, found.detail, *found.remedy))


async def test_a_server_of_another_name_where_a_preset_knows_better() -> None:
    with Smarthost(Behaviour(script={"CONNECT": "220 proxy.kantoor.test ESMTP"})) as fake:
        address = Address("127.0.0.1", 4)
        known = await attempt(Place("smtp.ziggo.nl", fake.port, "starttls", True), address, 2)
        unknown = await attempt(Place("mail.bakkerij.nl", fake.port), address, 2)
        bare = await attempt(Place("127.0.0.1", fake.port), address, 2)
    assert (known.outcome, known.cause) == ("intercepted", "another-name")
    assert (unknown.outcome, unknown.cause) == ("open", "another-name")
    assert (bare.outcome, bare.cause) == ("open", "open")
    assert known.evidence["name"] == "proxy.kantoor.test"


async def test_a_server_that_greets_in_clear_where_tls_should_come_first() -> None:
    with Smarthost() as fake:
        place = Place("127.0.0.1", fake.port, "implicit")
        found = await attempt(place, Address("127.0.0.1", 4), 2)
    assert (found.outcome, found.banner) == ("open", "220 smarthost.test ESMTP")
    assert found.evidence["tls"] == "none"


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        (220, "mx.example.net ESMTP Postfix", "mx.example.net"),
        (220, "MX.Example.NET.", "mx.example.net"),
        (220, "[192.0.2.1] ready", None),
        (220, "192.0.2.1 ESMTP", None),
        (220, "localhost ESMTP", None),
        (220, "**************", None),
        (220, "", None),
    ],
)
def test_the_name_in_a_greeting(code: int, text: str, expected: str | None) -> None:
    assert greeted_name(Heard(code, (text,))) == expected


def test_what_greets() -> None:
    assert service(Heard(421, ("too busy",))) == "smtp"
    assert service(Heard(220, ("ftp.example.net ESMTP",))) == "smtp"
    assert service(Heard(0, ("",))) == "other"
    assert same_owner("mx1.ziggo.nl", "smtp.ziggo.nl")
    assert not same_owner("proxy.kantoor.test", "smtp.ziggo.nl")


def test_every_preset_can_be_a_target_or_says_why_not() -> None:
    for preset in catalog():
        if all(end.blanks for end in preset.endpoints):
            continue
        assert read_target(preset.id, "nl").host
