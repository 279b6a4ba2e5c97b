"""A wrong file is an error that names the file and the key."""

from collections.abc import Callable
from pathlib import Path

import pytest

from presets.catalog import Catalog, PresetError

SOURCES = """\
[PAGE]
address = "https://example.nl/"
date = "2026-01-01"
title = "A page"
kind = "page"
"""
TOPICS = """\
[old_hosts]
confidence = "low"
sources = ["PAGE"]

[old_hosts.names]
"smtp.old.nl" = "bakker"

[suggested_relay_defaults]
connections = 1
"""
BAKKER = """\
name = "Bakker"
country = "NL"
kind = "isp"
offer_as_preset = true
offer_reason = "server confirmed by a source"
advice = "Use 587."
advice_nl = "Gebruik 587."

[status]
state = "active"
value = "active"
value_nl = "actief"
confidence = "high"
sources = ["PAGE"]

[[endpoint]]
host = "smtp.bakker.nl"
port = 587
tls = "starttls"
auth = ["PLAIN"]
username = "full e-mail address"
preferred = true
confidence = "high"
sources = ["PAGE"]

[sender_rule]
must_match_account = true
confidence = "high"
sources = ["PAGE"]

[limits.messages_per_day]
value = 100
confidence = "high"
sources = ["PAGE"]

[spf]
includes = ["_spf.bakker.nl"]
own_domain = "include:_spf.bakker.nl"
confidence = "high"
sources = ["PAGE"]
"""

MakeCatalog = Callable[..., Catalog]


@pytest.fixture
def make_catalog(tmp_path: Path) -> MakeCatalog:
    """A catalog of one provider, with a piece of one of its files replaced."""

    def make(old: str = "", new: str = "", **files: str) -> Catalog:
        assert old in files.get("bakker", BAKKER)
        (tmp_path / "providers").mkdir()
        (tmp_path / "sources.toml").write_text(files.get("sources", SOURCES))
        (tmp_path / "topics.toml").write_text(files.get("topics", TOPICS))
        bakker = files.get("bakker", BAKKER).replace(old, new, 1)
        (tmp_path / "providers" / "bakker.toml").write_text(bakker)
        return Catalog(tmp_path)

    return make


def test_the_sample_itself_is_right(make_catalog: MakeCatalog) -> None:
    preset = make_catalog().get("bakker")
    assert (preset.name, preset.limit("messages_per_day")) == ("Bakker", 100)


@pytest.mark.parametrize(
    ("old", "new", "key", "fault"),
    [
        ('country = "NL"', 'country = "NL"\ncolour = "red"', "colour", "unknown key"),
        ("preferred = true", "prefered = true", "endpoint[1].prefered", "unknown key"),
        ("[sender_rule]", "[sender_rule]\nnotes = 'x'", "sender_rule.notes", "unknown key"),
        ("value = 100", "value = 100\nunit = 'd'", "limits.messages_per_day.unit", "unknown key"),
        ('sources = ["PAGE"]', "", "status.sources", "is missing"),
        ('sources = ["PAGE"]', "sources = []", "status.sources", "is missing"),
        ('sources = ["PAGE"]', 'sources = ["PAEG"]', "status.sources", "not in sources.toml"),
        ('sources = ["PAGE"]', 'sources = "PAGE"', "status.sources", "must be a list"),
        ('confidence = "high"', "", "status.confidence", "is missing"),
        ('confidence = "high"', 'confidence = "sure"', "status.confidence", "'sure' is none of"),
        ('name = "Bakker"', "", "name", "is missing"),
        ('name = "Bakker"', 'name = ""', "name", "must not be empty"),
        ('advice_nl = "Gebruik 587."', "", "advice_nl", "is missing"),
        ('kind = "isp"', 'kind = "ips"', "kind", "'ips' is none of"),
        ("offer_as_preset = true", "offer_as_preset = 1", "offer_as_preset", "true or false"),
        ('state = "active"', 'state = "gone"', "status.state", "must begin with"),
        ('state = "active"', 'state = "merged"', "status.merged_into", "state merged"),
        ("port = 587", "port = '587'", "endpoint[1].port", "must be an integer"),
        ("port = 587", "port = true", "endpoint[1].port", "must be an integer"),
        ("port = 587", "port = 70000", "endpoint[1].port", "is no port"),
        ('tls = "starttls"', 'tls = "ssl"', "endpoint[1].tls", "is none of"),
        ('auth = ["PLAIN"]', "auth = [1]", "endpoint[1].auth", "must be a string"),
        ("= true\nconf", "= 'maybe'\nconf", "endpoint[1].preferred", "true or false"),
        ("value = 100", "value = '100'", "limits.messages_per_day.value", "an integer"),
        ("value = 100", "value = 0", "limits.messages_per_day.value", "above 0"),
        ("value = 100", "", "limits.messages_per_day.value", "no note either"),
        ("messages_per_day]", "messages]", "limits.messages.messages", "ends in its unit"),
        (
            "value = 100",
            "value = 100\nalso = { messages_per_day = 5 }",
            "limits.messages_per_day.messages_per_day",
            "is given twice",
        ),
        (
            "[sender_rule]",
            "[password_end]\nvalue = '31-12-2026'\nconfidence = 'high'\nsources = ['PAGE']\n[sender_rule]",
            "password_end",
            "is no day",
        ),
        ("own_domain = ", "needed = false\nown_domain = ", "spf.needed", "leave it out"),
        ("must_match_account = true", "see = 'baker'", "sender_rule.see", "'baker' is no other"),
        ("must_match_account = true", "see = 'bakker'", "sender_rule.see", "is no other preset"),
        (
            "must_match_account = true",
            "must_match_account = 'maybe'",
            "sender_rule.must_match_account",
            "none of rewritten",
        ),
    ],
)
def test_a_fault_is_named_with_file_and_key(
    make_catalog: MakeCatalog, old: str, new: str, key: str, fault: str
) -> None:
    with pytest.raises(PresetError) as caught:
        make_catalog(old, new).get("bakker")
    assert (caught.value.file, caught.value.key) == ("providers/bakker.toml", key)
    assert fault in caught.value.fault
    assert str(caught.value).startswith(f"providers/bakker.toml: {key}: ")


def test_two_preferred_endpoints_are_a_fault(make_catalog: MakeCatalog) -> None:
    first = BAKKER.index("[[endpoint]]")
    endpoint = BAKKER[first : BAKKER.index("[sender_rule]")]
    with pytest.raises(PresetError, match="more than one is preferred"):
        make_catalog(endpoint, endpoint + endpoint).get("bakker")


def test_a_merger_into_nothing_is_a_fault(make_catalog: MakeCatalog) -> None:
    new = 'state = "merged"\nmerged_into = "slager"'
    with pytest.raises(PresetError, match="'slager' is no other preset"):
        make_catalog('state = "active"', new).get("bakker")


def test_broken_toml_names_the_file(make_catalog: MakeCatalog) -> None:
    with pytest.raises(PresetError, match=r"^providers/bakker\.toml: .*line 1"):
        make_catalog('name = "Bakker"', "name = ").get("bakker")


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("sources", SOURCES.replace("kind", "sort"), r"sources\.toml: PAGE\.kind: is missing"),
        ("sources", SOURCES + "author = 'x'\n", r"sources\.toml: PAGE\.author: unknown key"),
        ("topics", TOPICS + "[extra]\n", r"topics\.toml: extra: unknown key"),
        ("topics", TOPICS.replace("PAGE", "PAEG"), r"topics\.toml: old_hosts\.sources"),
        ("topics", TOPICS.replace('"bakker"', "5"), r"topics\.toml: old_hosts\.names\.smtp\.old"),
        ("topics", TOPICS.replace('"bakker"', '"slager"'), r"'slager' is no preset"),
    ],
)
def test_faults_in_the_shared_files(
    make_catalog: MakeCatalog, file: str, text: str, message: str
) -> None:
    with pytest.raises(PresetError, match=message):
        make_catalog(**{file: text}).resolve("smtp.old.nl")
