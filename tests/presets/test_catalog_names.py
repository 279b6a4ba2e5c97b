"""Names to presets: today's, merged, discontinued, unknown."""

import pytest

from presets.catalog import UnknownPreset, catalog

PRESETS = catalog()


@pytest.mark.parametrize(
    ("name", "id_"),
    [
        ("ziggo", "ziggo"),
        ("Ziggo", "ziggo"),
        ("  SMTP.Ziggo.NL. ", "ziggo"),
        ("smtp.kpnmail.nl", "kpn"),
        ("smtp.gmail.com", "gmail"),
        ("smtp-mail.outlook.com", "outlook-com"),
        ("Microsoft 365", "microsoft365"),
        ("Office 365", "microsoft365"),
        ("DELTA", "delta-caiway"),
        ("hotmail", "outlook-com"),
        ("web0123.zxcs.nl", "vimexx"),
        ("mijnbakkerij-nl.mail.protection.outlook.com", "m365-smtp-relay"),
        ("email-smtp.eu-north-1.amazonaws.com", "amazon-ses"),
    ],
)
def test_a_name_of_today_resolves_without_a_warning(name: str, id_: str) -> None:
    resolution = PRESETS.resolve(name)
    assert (resolution.preset.id, resolution.warning) == (id_, None)
    assert resolution.requested is resolution.preset
    assert resolution.name == name


@pytest.mark.parametrize(
    ("name", "requested", "id_", "server"),
    [
        ("upc", "upc", "ziggo", "smtp.ziggo.nl"),
        ("Chello", "upc", "ziggo", "smtp.ziggo.nl"),
        ("smtp.upcmail.nl", "upc", "ziggo", "smtp.ziggo.nl"),
        ("smtp.live.com", "live", "outlook-com", "smtp-mail.outlook.com"),
        ("Live", "live", "outlook-com", "smtp-mail.outlook.com"),
        ("mail.kpnmail.nl", "kpn", "kpn", "smtp.kpnmail.nl"),
        ("planet", "planet", "kpn", "smtp.kpnmail.nl"),
        ("Telfort", "telfort", "kpn", "smtp.kpnmail.nl"),
        ("smtp.telfort.nl", "telfort", "kpn", "smtp.kpnmail.nl"),
        ("smtp.xs4all.nl", "xs4all", "kpn", "smtp.kpnmail.nl"),
        ("tele2", "tele2", "odido", "smtp.t-mobilethuis.nl"),
        ("smtp.tele2.nl", "tele2", "odido", "smtp.t-mobilethuis.nl"),
        ("versatel", "versatel", "odido", "smtp.t-mobilethuis.nl"),
        ("smtp.versatel.nl", "versatel", "odido", "smtp.t-mobilethuis.nl"),
        ("zonnet", "zonnet", "odido", "smtp.t-mobilethuis.nl"),
        ("smtp.hotmail.com", "outlook-com", "outlook-com", "smtp-mail.outlook.com"),
        ("in.mailjet.com", "mailjet", "mailjet", "in-v3.mailjet.com"),
    ],
)
def test_a_name_of_the_past_resolves_to_its_successor_and_says_so(
    name: str, requested: str, id_: str, server: str
) -> None:
    resolution = PRESETS.resolve(name)
    assert (resolution.requested.id, resolution.preset.id) == (requested, id_)
    assert resolution.warning is not None
    assert server in resolution.warning["en"]
    assert server in resolution.warning["nl"]
    assert resolution.warning["en"] != resolution.warning["nl"]
    if requested != id_:
        assert f'preset = "{id_}"' in resolution.warning["nl"]


def test_every_merged_preset_and_old_server_has_its_warning() -> None:
    for preset in PRESETS:
        resolution = PRESETS.resolve(preset.id)
        assert resolution.requested is preset
        if preset.status.ended:
            assert resolution.warning is not None
            assert not resolution.preset.status.ended or preset.id == "scarlet-nl"
    for host in PRESETS.old_hosts.presets:
        warning = PRESETS.resolve(host).warning
        assert warning is not None
        assert host in warning["nl"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Scarlet", "bestaat niet meer"),
        ("mail.scarlet.nl", "bestaat niet meer"),
        ("smtp.online.nl", "niet vastgesteld"),
        ("OrderNow", "oud document"),
    ],
)
def test_what_has_no_successor_stays_itself_and_warns(name: str, words: str) -> None:
    resolution = PRESETS.resolve(name)
    assert resolution.requested is resolution.preset
    assert resolution.warning is not None
    assert words in resolution.warning["nl"]


def test_a_warning_on_weak_ground_says_not_confirmed() -> None:
    weak = PRESETS.resolve("tele2").warning
    firm = PRESETS.resolve("upc").warning
    assert weak is not None
    assert firm is not None
    assert "(niet bevestigd)" in weak["nl"]
    assert "(not confirmed)" in weak["en"]
    assert "niet bevestigd" not in firm["nl"]


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("zigo", "ziggo"),
        ("smtp.zigo.nl", "ziggo"),
        ("ziggo.nl", "ziggo"),
        ("hotmial", "outlook-com"),
        ("microsoft", "microsoft365"),
        ("gmial", "gmail"),
    ],
)
def test_an_unknown_name_brings_the_nearest_ids(name: str, first: str) -> None:
    with pytest.raises(UnknownPreset) as caught:
        PRESETS.resolve(name)
    assert caught.value.name == name
    assert caught.value.nearest[0] == first
    assert first in caught.value.text.get("nl")
    assert str(caught.value) == caught.value.text.en


def test_a_name_like_nothing_points_at_the_list() -> None:
    with pytest.raises(UnknownPreset, match="diagnose presets list") as caught:
        PRESETS.get("qqqqqq")
    assert caught.value.nearest == ()
    assert "Lijkt op" not in caught.value.text.get("nl")


def test_an_id_is_no_path() -> None:
    with pytest.raises(UnknownPreset):
        PRESETS.get("../sources")


@pytest.mark.parametrize(
    ("domain", "id_"),
    [
        ("ziggo.nl", "ziggo"),
        ("UPCMAIL.nl", "ziggo"),
        ("planet.nl", "kpn"),
        ("xs4all.nl", "kpn"),
        ("live.nl", "outlook-com"),
        ("zonnet.nl", "zonnet"),
        ("mijnbakkerij.nl", None),
    ],
)
def test_the_preset_of_a_mail_domain(domain: str, id_: str | None) -> None:
    preset = PRESETS.by_domain(domain)
    assert (preset.id if preset else None) == id_
