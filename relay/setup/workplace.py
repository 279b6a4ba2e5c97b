"""Where `relay setup` works: beside the relay.toml to come, so that what is ready need only be renamed.

relay.toml              the file to come
relay.toml.setup/       ours alone (0700), gone when the setup is done
    answers.json        the draft: the answers so far, and no secrets
    lock                keeps a second setup out
    try/                the file and the secrets as they will be, and a spool to try them with
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from relay.setup.questions import QUESTIONS
from relay.spool.lock import SpoolLock
from relay.spool.vault import give_to_owner, sync_directory

_PRIVATE = 0o600
_MOST_BYTES = 100_000
_BINARY = getattr(os, "O_BINARY", 0)


class Workplace:
    """The files of one setup. Methods raise OSError; `open` SpoolInUse where another one runs."""

    def __init__(self, target: Path) -> None:
        self.target = target.absolute()
        self._directory = self.target.with_name(self.target.name + ".setup")
        self._lock = SpoolLock(self._directory / "lock")
        self._is_open = False
        self._made: list[Path] = []  # directories that were not there, the deepest first

    @property
    def draft(self) -> Path:
        """The file with the answers so far."""
        return self._directory / "answers.json"

    @property
    def trial(self) -> Path:
        """The directory with the file as it will be."""
        return self._directory / "try"

    def open(self) -> None:
        """Make the place, or take up the one that an earlier setup left."""
        if not self._is_open:
            parents = [*self._directory.parents]
            self._made = [path for path in parents if not path.exists()]
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock.acquire()
            self._is_open = True
            shutil.rmtree(self.trial, ignore_errors=True)  # of one that was killed

    def read_draft(self) -> dict[str, str]:
        """The answers of an earlier setup; nothing where there is none, or it cannot be used."""
        try:
            with self.draft.open("rb") as stream:
                found = json.loads(stream.read(_MOST_BYTES))
        except (OSError, ValueError, RecursionError):
            return {}
        if not isinstance(found, dict):
            return {}
        known = ((name, found.get(name)) for name in QUESTIONS)
        return {name: text for name, text in known if isinstance(text, str)}

    def keep_draft(self, answers: Mapping[str, str]) -> None:
        """Write the answers so far, in one step."""
        self.open()
        fresh = self.draft.with_name(self.draft.name + ".new")
        fresh.unlink(missing_ok=True)
        _write_new(fresh, json.dumps(dict(answers), indent=1).encode() + b"\n")
        fresh.replace(self.draft)

    def secret_file(self, stem: str) -> str:
        """A name for a secret beside the file that nothing has yet: what is there stays as it is."""
        names = (f"{stem}.secret", *(f"{stem}-{number}.secret" for number in range(2, 1000)))
        return next(each for each in names if not self.target.with_name(each).exists())

    def stage(self, text: str, secrets: Mapping[str, str]) -> Path:
        """The file and its secrets as they will be, to be tried; replaces what was staged."""
        self.open()
        shutil.rmtree(self.trial, ignore_errors=True)
        self.trial.mkdir(mode=0o700)
        for name, secret in secrets.items():
            _write_new(self.trial / name, secret.encode() + b"\n")
        staged = self.trial / self.target.name
        _write_new(staged, text.encode())
        return staged

    def install(self, secrets: Mapping[str, str], now: datetime, owner: Path | None) -> Path | None:
        """Put what is staged into its place, the file itself last; where its predecessor is kept.

        Each step is a rename of what is synced already. `owner` is a directory whose owner gets
        the secrets, where root writes them.
        """
        for name in secrets:
            with (self.trial / name).open("rb+") as stream:
                if owner is not None and owner.is_dir():
                    give_to_owner(stream.fileno(), owner)
            (self.trial / name).replace(self.target.with_name(name))
        kept = self._keep_predecessor(now)
        staged = self.trial / self.target.name
        # The service may run as another user; the file holds no secret.
        staged.chmod(0o644 if kept is None else kept.stat().st_mode & 0o777)
        staged.replace(self.target)
        sync_directory(self.target.parent)
        return kept

    def _keep_predecessor(self, now: datetime) -> Path | None:
        if not self.target.exists():
            return None
        kept = self.target.with_name(f"{self.target.name}.{now.strftime('%Y%m%dT%H%M%SZ')}")
        fresh = self.trial / kept.name
        shutil.copy2(self.target, fresh)
        with fresh.open("rb+") as stream:
            if os.name != "nt" and os.geteuid() == 0:
                before = self.target.stat()
                os.fchown(stream.fileno(), before.st_uid, before.st_gid)
            os.fsync(stream.fileno())
        fresh.replace(kept)
        return kept

    def clear_trial(self) -> None:
        """Throw away what was tried, secrets and all."""
        shutil.rmtree(self.trial, ignore_errors=True)

    def close(self, *, done: bool) -> None:
        """Leave nothing but the draft; when `done`, not even that."""
        if not self._is_open:
            return
        self.clear_trial()
        if done:
            self.draft.unlink(missing_ok=True)
        empty = done or not self.draft.exists()
        if empty and os.name != "nt":  # there a file that is locked stays
            self._lock.path.unlink(missing_ok=True)
        self._lock.release()
        if empty:
            self._lock.path.unlink(missing_ok=True)
            # An empty /etc/relay would tell that a configuration is missing.
            with contextlib.suppress(OSError):
                for directory in (self._directory, *self._made):
                    directory.rmdir()
        self._is_open = False


def _write_new(path: Path, content: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY
    with os.fdopen(os.open(path, flags, _PRIVATE), "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
