"""kill -9 at the worst moments of a rotation: afterwards there is a token, and mail flows."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fakes.certificates import Authority
from fakes.delivery_rig import Rig
from fakes.issuer import Issuer
from fakes.smarthost import Smarthost
from fakes.token_login import consented, token_behaviour, token_entry, token_requests

from relay.config.secret import SecretRef
from relay.spool.model import State
from relay.spool.sqlite import open_spool
from relay.spool.vault_entry import Grant

pytestmark = pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
_ROOT = Path(__file__).resolve().parents[2]

# Asks for a token as the relay does, and dies at the moment named.
PROGRAM = """
import asyncio, os, signal, sys
from pathlib import Path
sys.path.insert(0, "tests")
from fakes.token_login import oauth2_at
from relay.account.keeper import TokenKeeper
from relay.clock import utc_now
from relay.config.model import AuthMethod, Config, Smarthost, Spool
from relay.config.secret import SecretRef
from relay.spool import vault as file_vault
from relay.spool.sqlite import open_spool
from relay.spool.sqlite.commit import Committer

moment, path, key, authority, ca_file, client_id, host, username = sys.argv[1:]

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

async def main():
    spool = open_spool(Path(path), utc_now, SecretRef("file", key) if key else None)
    keep, vault = spool.vault.keep, spool.vault
    async def kept(*given):
        if moment == "answered":
            die()
        if moment == "half-written":
            if key:
                Committer._attempt = die
            else:
                file_vault._document = die
        await keep(*given)
        if moment == "stored":
            die()
    vault.keep = kept
    smarthost = Smarthost(
        name="m365", host=host, auth=AuthMethod.OAUTH2, username=username,
        oauth2=oauth2_at(authority, Path(ca_file), client_id),
    )
    config = Config(hostname="r", spool=Spool(url="sqlite://"), smarthosts=(smarthost,))
    token = await TokenKeeper(config, vault, utc_now).access_token(smarthost)
    print("token", token, flush=True)

asyncio.run(main())
"""


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as found:
        yield found


class Shop:
    """A spool with a consent in its vault, and a process that is killed while it refreshes."""

    def __init__(self, directory: Path, issuer: Issuer, sealed: bool) -> None:
        self.path = directory / "spool.db"
        self.issuer = issuer
        self.key: SecretRef | None = None
        if sealed:
            file = directory / "spool.key"
            file.touch(0o600)
            file.write_text("brood en boter")
            self.key = SecretRef("file", str(file))
        self.account = ("127.0.0.1", issuer.username)
        self.first = consented(issuer, datetime.now(UTC))
        asyncio.run(self._keep())

    async def _keep(self) -> None:
        spool = open_spool(self.path, secret_key=self.key)
        await spool.vault.keep(*self.account, self.first)
        await spool.close()

    def killed_when(self, moment: str) -> None:
        issuer = self.issuer
        key = self.key.name if self.key else ""
        where = (issuer.authority(), str(issuer.ca_file), issuer.client_id)
        arguments = [moment, str(self.path), key, *where, *self.account]
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *arguments],
            cwd=_ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert done.stdout == ""

    def rig(self, fake: Smarthost, authority: Authority) -> Rig:
        rig = Rig(self.path.parent, [token_entry(fake, self.issuer, authority)])
        rig.config = replace(rig.config, spool=replace(rig.config.spool, secret_key=self.key))
        rig.now = datetime.now(UTC)
        return rig

    async def grant(self, rig: Rig) -> Grant:
        found = await rig.spool.vault.grant(*self.account)
        assert found is not None
        return found


@pytest.fixture(params=[False, True], ids=["file", "sealed"])
def shop(request: pytest.FixtureRequest, tmp_path: Path, issuer: Issuer) -> Shop:
    return Shop(tmp_path, issuer, request.param)


async def mail_flows(rig: Rig) -> None:
    async with rig:
        for number in range(3):
            await rig.accept("boekhouding@bakkerij.example", [f"r{number}@example.net"])
        await rig.event("delivered", 3)
        assert rig.events.named("paused") == rig.events.named("alert") == []


@pytest.mark.parametrize("moment", ["answered", "half-written"])
def test_killed_before_the_rotated_token_was_stored(
    moment: str, shop: Shop, issuer: Issuer, authority: Authority
) -> None:
    shop.killed_when(moment)
    assert len(issuer.refresh) == 2  # it did rotate
    with Smarthost(token_behaviour(issuer, authority)) as fake:
        asyncio.run(mail_flows(shop.rig(fake, authority)))
    first = shop.first.refresh_token
    assert token_requests(issuer) == [first, first]


def test_killed_after_it_was_stored(shop: Shop, issuer: Issuer, authority: Authority) -> None:
    shop.killed_when("stored")
    with Smarthost(token_behaviour(issuer, authority)) as fake:
        rig = shop.rig(fake, authority)
        asyncio.run(mail_flows(rig))
        # What was stored is whole: the access token that nobody had used yet is used.
        assert len(token_requests(issuer)) == 1

    async def kept() -> Grant:
        spool = open_spool(shop.path, secret_key=shop.key)
        try:
            found = await spool.vault.grant(*shop.account)
            assert found is not None
            return found
        finally:
            await spool.close()

    rotated = list(issuer.refresh)[-1]
    assert rotated != shop.first.refresh_token
    assert asyncio.run(kept()).refresh_token == rotated


def test_an_issuer_that_lets_the_old_token_die_at_once_pauses_and_loses_no_mail(
    shop: Shop, issuer: Issuer, authority: Authority
) -> None:
    issuer.single_use = True
    shop.killed_when("answered")

    async def paused_then_granted() -> None:
        async with rig:
            message = await rig.accept("boekhouding@bakkerij.example", ["r@example.net"])
            await rig.event("paused", by="account")
            assert await rig.states(message) == [State.QUEUED]
            (alert,) = rig.events.named("alert")
            assert "relay account login" in alert["text"]
            await rig.spool.vault.keep(*shop.account, consented(issuer, rig.now))
            await rig.spool.ledger.resume(*shop.account)
            await rig.dispatcher.granted(*shop.account)
            await rig.event("delivered")

    with Smarthost(token_behaviour(issuer, authority)) as fake:
        rig = shop.rig(fake, authority)
        asyncio.run(paused_then_granted())
