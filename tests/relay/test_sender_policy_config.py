"""What the configuration says of senders: whom an account may be, and the address to send as."""

from pathlib import Path

import pytest
from fakes.stocked_spool import office_config

from presets.catalog import catalog
from presets.model import Preset
from relay.config.model import Config, ConfigError, PolicyKind, SenderPolicy, Smarthost
from relay.delivery.route import find_path, policy_and_place

ACCOUNT = "bakker@mijnbakkerij.nl"
LOGIN = f'username = "{ACCOUNT}"\npassword = {{ file = "isp.secret" }}\n'
PRESETS = [preset for preset in catalog() if not preset.status.ended]


def smarthost(directory: Path, keys: str) -> Smarthost:
    return office_config(directory, f'[[smarthost]]\nname = "isp"\n{keys}').smarthosts[0]


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.id)
def test_each_preset_says_whom_its_account_may_be(tmp_path: Path, preset: Preset) -> None:
    keys = f'preset = "{preset.id}"\nhost = "127.0.0.1"\nport = 2\ntls = "none"\n{LOGIN}'
    found = smarthost(tmp_path, keys).allowed_senders
    # True: must match; "rewritten": the server does it itself; None: nothing is known.
    free = preset.sender_rule.must_match_account is False
    assert found == (("*",) if free else (ACCOUNT,))


@pytest.mark.parametrize(
    ("keys", "allowed"),
    [
        (LOGIN, (ACCOUNT,)),  # nothing is known of a server without a preset
        (LOGIN.replace(ACCOUNT, "bakker"), ("*",)),
        ("", ("*",)),
        (f'{LOGIN}allowed_senders = ["*"]', ("*",)),
    ],
)
def test_without_a_preset(tmp_path: Path, keys: str, allowed: tuple[str, ...]) -> None:
    host = f'host = "127.0.0.1"\ntls = "none"\n{keys}'
    assert smarthost(tmp_path, host).allowed_senders == allowed


@pytest.mark.parametrize("policy", ["rewrite", "force"])
def test_a_smarthost_sends_as_its_account_unless_it_says_otherwise(
    tmp_path: Path, policy: str
) -> None:
    keys = f'preset = "ziggo"\n{LOGIN}sender = {{ policy = "{policy}"%s }}'
    kind = PolicyKind(policy)
    assert smarthost(tmp_path, keys % "").sender == SenderPolicy(kind, ACCOUNT)
    other = smarthost(tmp_path, keys % ', address = "x@y.nl"').sender
    assert other == SenderPolicy(kind, "x@y.nl")


def test_a_policy_that_keeps_needs_no_address(tmp_path: Path) -> None:
    found = smarthost(tmp_path, f'preset = "ziggo"\n{LOGIN}sender = {{ policy = "keep" }}')
    assert found.sender == SenderPolicy()


@pytest.mark.parametrize(
    "tables",
    [
        '[[smarthost]]\nname = "isp"\nhost = "127.0.0.1"\ntls = "none"\n'
        'username = "bakker"\npassword = { file = "isp.secret" }\nsender = { policy = "force" }',
        '[sender]\npolicy = "rewrite"',
        '[[client]]\nname = "k"\nnetworks = []\nsender = { policy = "force" }',
    ],
)
def test_elsewhere_the_address_must_be_said(tmp_path: Path, tables: str) -> None:
    with pytest.raises(ConfigError) as refused:
        office_config(tmp_path, tables)
    assert "address" in str(refused.value)


TABLES = """
[sender]
policy = "force"
address = "systeem@kantoor.example"

[[smarthost]]
name = "een"
host = "127.0.0.1"
tls = "none"
sender = { policy = "force", address = "administratie@kantoor.example" }

[[smarthost]]
name = "twee"
host = "127.0.0.1"
tls = "none"

[[client]]
name = "persoon"
networks = ["192.168.1.1"]
sender = { policy = "force", address = "persoon@kantoor.example" }

[[client]]
name = "kassa"
networks = ["192.168.1.2"]

[[route]]
recipient = "*@document.example"
smarthost = ["een"]
sender = { policy = "force", address = "document@kantoor.example" }

[[route]]
recipient = "*@twee.example"
smarthost = ["twee"]
"""


@pytest.mark.parametrize(
    ("client", "recipient", "address", "place"),
    [
        ("persoon", "x@document.example", "persoon", "client"),
        ("kassa", "x@document.example", "document", "route"),
        ("kassa", "x@elders.example", "administratie", "smarthost"),
        ("kassa", "x@twee.example", "systeem", "sender"),
        ("persoon", "x@twee.example", "persoon", "client"),
        ("onbekend", "x@document.example", "document", "route"),
    ],
)
def test_the_most_specific_policy_holds(
    tmp_path: Path, client: str, recipient: str, address: str, place: str
) -> None:
    config: Config = office_config(tmp_path, TABLES)
    path = find_path(config, client, "a@b.nl", recipient)
    policy, where = policy_and_place(config, client, path, path.smarthosts[0])
    assert (policy.address, where) == (f"{address}@kantoor.example", place)
