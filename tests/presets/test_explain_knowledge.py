"""The files of error knowledge: complete, two languages, no dangerous expression, no silent error."""

import csv
import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from presets.explain import explain
from presets.knowledge import Entry, Kind, KnowledgeError, knowledge, load
from presets.matching import find
from presets.pattern import required_literals
from presets.reply import TEXT_LIMIT, Reply
from presets.verdict import Scope

DATA = Path(__file__).with_name("data")
ENTRIES = knowledge().entries
PATTERNS = sorted({entry.pattern for entry in ENTRIES if entry.pattern})

CAUSES = """
[wrong]
scope = 'account'
retry = 'after-change'
meaning.en = 'Wrong.'
meaning.nl = 'Fout.'
steps.en = ['Correct it.']
steps.nl = ['Verbeter het.']
"""
FILE = """
kind = 'program'
[families]
exim = {}
[[reply]]
code = 535
pattern = 'wrong'
cause = 'wrong'
"""


def wordings() -> list[dict[str, str]]:
    with (DATA / "wordings.tsv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


@pytest.mark.parametrize("row", wordings(), ids=lambda row: row["reply"][:60])
def test_each_wording_finds_the_entry_made_for_it(row: dict[str, str]) -> None:
    reply = Reply.parse(row["reply"]) or Reply(0, None, row["reply"])
    assert find(reply, row["provider"] or None, None).entry.pattern == row["pattern"]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_is_quick_on_the_longest_text(pattern: str) -> None:
    expression = re.compile(pattern, re.IGNORECASE)
    words = re.findall(r"[A-Za-z]+", pattern)
    seconds = 0.0
    for bait in (*words, "a", " ", *("".join(words[:n]) + " " for n in (2, 3))):
        text = (bait * TEXT_LIMIT)[:TEXT_LIMIT]
        start = time.process_time()
        expression.search(text)
        seconds = max(seconds, time.process_time() - start)
    assert seconds < 0.05


@pytest.mark.parametrize("row", wordings(), ids=lambda row: row["reply"][:60])
def test_the_literals_of_a_pattern_never_hide_a_match(row: dict[str, str]) -> None:
    text = row["reply"].lower()
    for pattern in PATTERNS:
        if re.search(pattern, row["reply"], re.IGNORECASE):
            assert any(literal in text for literal in required_literals(pattern)), pattern


@pytest.mark.parametrize(
    ("pattern", "literals"),
    [
        ("mailbox is full|over quota", ("mailbox is full", "over quota")),
        ("account (is )?(temporarily )?locked", ("account ",)),
        (r"https?://blacklist\.kpnmail", ("://blacklist",)),
        (r"[ab]+cd{2}ef", ("ef",)),
        (r"(one|two)", ("",)),
        (r"(a(b|c))?d|e", ("d", "e")),
        (r"isn'?t", ("isn",)),
        (r"\[CS01\] Message", (" message",)),
    ],
)
def test_required_literals(pattern: str, literals: tuple[str, ...]) -> None:
    assert required_literals(pattern) == literals


@given(st.from_regex(re.compile(r"(gr[ea]y.?list|[dr]nsbl|over ?quota|a+b*c{1,3})x", re.A)))
def test_required_literals_are_in_every_match(text: str) -> None:
    pattern = r"(gr[ea]y.?list|[dr]nsbl|over ?quota|a+b*c{1,3})x"
    assert any(literal in text.lower() for literal in required_literals(pattern))


def test_every_text_is_there_in_both_languages() -> None:
    for entry in ENTRIES:
        assert entry.meaning.keys() == entry.steps.keys() == {"en", "nl"}
        assert len(entry.steps["en"]) == len(entry.steps["nl"]) >= 1
        assert entry.meaning["en"] != entry.meaning["nl"]
        for text in (*entry.meaning.values(), *entry.steps["en"], *entry.steps["nl"]):
            assert text == text.strip()
            assert text


def test_only_the_meanings_of_the_rfcs_are_without_a_scope() -> None:
    for entry in ENTRIES:
        assert entry.known == (entry.scope is not Scope.UNKNOWN) or entry.kind is Kind.RFC
        assert entry.retry is not None or entry.kind is Kind.RFC


def test_presets_that_entries_speak_of_belong_to_their_family() -> None:
    family_of = knowledge().family_of
    for entry in ENTRIES:
        for preset in entry.only_for:
            assert family_of[preset] == entry.family


def test_every_reply_code_of_rfc_5321_has_a_meaning_of_its_own() -> None:
    classes = {explain(f"{digit}99 x").meaning for digit in "45"}
    for code in (421, 450, 451, 452, 454, 455, 500, 501, 502, 503, 504, 521, 530, 534, 535, 538,
                 550, 551, 552, 553, 554, 555, 556):  # fmt: skip
        assert explain(f"{code} x").meaning not in classes, code


@pytest.mark.parametrize("klass", "45")
def test_every_enhanced_code_of_rfc_3463_has_a_meaning_of_its_own(klass: str) -> None:
    last = {1: 8, 2: 4, 3: 5, 4: 7, 5: 5, 6: 5, 7: 7}
    for subject, details in last.items():
        for detail in range(details + 1):
            enhanced = f"{klass}.{subject}.{detail}"
            entry = find(Reply(int(klass) * 100 + 99, enhanced, "x"), None, None).entry
            assert enhanced in entry.enhanced or enhanced in {"4.3.3", "4.1.5", "5.1.5"}, enhanced


def loaded(tmp_path: Path, file: str = FILE, causes: str = CAUSES) -> tuple[Entry, ...]:
    (tmp_path / "causes.toml").write_text(causes, encoding="utf-8")
    (tmp_path / "exim.toml").write_text(file, encoding="utf-8")
    return load(tmp_path).entries


def test_a_good_file_loads(tmp_path: Path) -> None:
    (entry,) = loaded(
        tmp_path, FILE + "enhanced = ['X.1.1', '5.7.9-11']\nscope_at = {rcpt = 'recipient'}\n"
    )
    assert entry.enhanced == {"2.1.1", "4.1.1", "5.1.1", "5.7.9", "5.7.10", "5.7.11"}
    assert entry.scope_at == {"rcpt": "recipient"}
    assert entry.meaning["nl"] == "Fout."


@pytest.mark.parametrize(
    ("change", "to", "complaint"),
    [
        ("code = 535", "code = 700", "exim.toml, reply 1 (wrong): 700 is no reply code"),
        ("code = 535", "code = '6yz'", "exim.toml, reply 1 (wrong): '6yz' is no reply code"),
        ("code = 535", "kode = 535", "exim.toml, reply 1 (wrong): unknown key kode"),
        ("code = 535", "enhanced = '3.1.1'", "exim.toml, reply 1 (wrong): '3.1.1' is no enhanced status code"),
        ("code = 535", "scope = 'mail'", "exim.toml, reply 1 (wrong): 'mail' is no scope"),
        ("code = 535", "retry = 'soon'", "exim.toml, reply 1 (wrong): 'soon' is no retry"),
        ("code = 535", "phases = ['bye']", "exim.toml, reply 1 (wrong): 'bye' is no phase"),
        ("code = 535", "family = 'sendmail'", "exim.toml, reply 1 (wrong): family 'sendmail' is not in [families]"),
        ("code = 535", "meaning.en = 'Hm.'", "exim.toml, reply 1 (wrong): meaning is needed in en and nl"),
        ("code = 535", "steps.en = ['a', 'b']\nsteps.nl = ['a']", "exim.toml, reply 1 (wrong): the languages have different numbers of steps"),
        ("cause = 'wrong'", "cause = 'rong'", "exim.toml, reply 1 (wrong): cause 'rong' is not in causes.toml"),
        ("code = 535\npattern = 'wrong'\n", "", "exim.toml, reply 1 (wrong): one of code, enhanced, pattern is needed"),
        ("kind = 'program'", "kind = 'server'", "exim.toml, reply 1 (wrong): 'server' is no kind"),
        ("kind = 'program'", "kind = 'program'\ncolour = 1", "exim.toml: unknown key colour"),
        ("exim = {}", "exim = { preset = ['x'] }", "exim.toml, family exim: unknown key preset"),
        ("[families]\nexim = {}", "", "exim.toml: [families] is needed"),
        ("exim = {}", "exim = {", "exim.toml: "),
    ],
)  # fmt: skip
def test_a_faulty_entry_is_named(tmp_path: Path, change: str, to: str, complaint: str) -> None:
    assert change in FILE
    with pytest.raises(KnowledgeError) as caught:
        loaded(tmp_path, FILE.replace(change, to))
    assert str(caught.value).startswith(complaint)


@pytest.mark.parametrize(
    ("change", "to", "complaint"),
    [
        ("steps.nl = ['Verbeter het.']", "", "causes.toml, [wrong]: steps is needed in en and nl"),
        ("scope = 'account'", "", "causes.toml, [wrong]: None is no scope"),
        ("retry =", "again =", "causes.toml, [wrong]: unknown key again"),
    ],
)
def test_a_faulty_cause_is_named(tmp_path: Path, change: str, to: str, complaint: str) -> None:
    with pytest.raises(KnowledgeError) as caught:
        loaded(tmp_path, causes=CAUSES.replace(change, to))
    assert str(caught.value) == complaint
