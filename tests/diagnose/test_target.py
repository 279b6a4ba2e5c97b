"""What a TARGET may be, and what is said of anything else."""

import pytest

from diagnose.checks.connect import places_of
from diagnose.target import BadTarget, read_target


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("smtp.example.net", "smtp.example.net", None),
        ("SMTP.Example.NET.:587", "smtp.example.net", 587),
        ("192.0.2.7", "192.0.2.7", None),
        ("192.0.2.7:25", "192.0.2.7", 25),
        ("2001:db8::1", "2001:db8::1", None),
        ("[2001:DB8::1]:465", "2001:db8::1", 465),
        ("[::1]", "::1", None),
        ("localhost", "localhost", None),
        ("mailserver:25", "mailserver", 25),
        ("bücher.example:587", "xn--bcher-kva.example", 587),
        ("xn--bcher-kva.example", "xn--bcher-kva.example", None),
    ],
)
def test_a_server(text: str, host: str, port: int | None) -> None:
    target = read_target(text, "en")
    assert (target.host, target.port, target.named) == (host, port, False)
    assert target.text == text


@pytest.mark.parametrize("text", ["ziggo", "Ziggo", " VodafoneZiggo "])
def test_a_preset_by_id_or_name(text: str) -> None:
    target = read_target(text, "nl")
    assert target.named
    assert target.preset is not None
    assert (target.preset.id, target.host, target.port) == ("ziggo", "smtp.ziggo.nl", None)
    assert target.tls("smtp.ziggo.nl", 587) == "starttls"
    assert target.warnings == ()


def test_a_preset_with_a_port_takes_the_host_of_that_port() -> None:
    target = read_target("ziggo:465", "en")
    assert (target.host, target.port) == ("smtp.ziggo.nl", 465)
    assert [place.implicit for place in places_of(target)] == [True]


def test_a_server_of_a_preset_is_examined_itself_with_what_the_preset_knows() -> None:
    target = read_target("smtp.ziggo.nl:587", "en")
    assert not target.named
    assert target.tls(target.host, 587) == "starttls"
    assert target.tls(target.host, 2525) is None
    places = places_of(read_target("smtp.ziggo.nl", "en"))
    assert [place.tls for place in places] == [None, "implicit", "starttls", None]


@pytest.mark.parametrize("language", ["nl", "en"])
def test_a_merged_provider_warns_and_leads_to_todays(language: str) -> None:
    target = read_target("upc", language)  # type: ignore[arg-type]
    assert target.preset is not None
    assert (target.preset.id, target.host) == ("ziggo", "smtp.ziggo.nl")
    (warning,) = target.warnings
    assert (warning.id, warning.severity) == ("preset-outdated", "warning")
    assert "Ziggo" in warning.title


def test_a_server_of_the_past_warns_and_is_examined_itself() -> None:
    target = read_target("smtp.upcmail.nl", "en")
    assert target.host == "smtp.upcmail.nl"
    assert target.warnings


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "server:port"),
        ("zigo", "ziggo"),
        ("mailserver", "mailserver:587"),
        ("info@ziggo.nl", "presets discover info@ziggo.nl"),
        ("smtp.ziggo.nl:0", "65535"),
        ("smtp.ziggo.nl:70000", "65535"),
        ("smtp.ziggo.nl:smtp", "65535"),
        ("smtp.ziggo.nl:²", "65535"),
        ("smtp.ziggo.nl:", "65535"),
        ("[::1", "no preset"),
        ("[::1]25", "no preset"),
        ("300.1.1.1", "no preset"),
        ("smtp..ziggo.nl", "no preset"),
        ("-x.example", "no preset"),
        ("https://smtp.ziggo.nl", "65535"),
        ("a" * 64 + ".example", "no preset"),
        ("x" * 2000, "server:port"),
        ("smtp.ziggo.nl\x1b[31m", "no preset"),
        ("m365-smtp-relay", "name of your own"),
    ],
)
def test_what_is_no_target_says_what_to_give(text: str, says: str) -> None:
    with pytest.raises(BadTarget) as caught:
        read_target(text, "en")
    assert says in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_a_preset_has_its_own_ports_and_the_usual_ones() -> None:
    places = places_of(read_target("ziggo", "en"))
    assert [(place.port, place.promised, place.implicit) for place in places] == [
        (25, False, False),
        (465, True, True),
        (587, True, False),
        (2525, False, False),
    ]
    assert [place.port for place in places_of(read_target("smtp.example.net", "en"))] == [
        *(25, 465, 587, 2525)
    ]
