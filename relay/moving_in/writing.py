"""A new relay.toml with its secrets: tried first, then all of it or nothing."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from relay.config.load import load
from relay.config.model import Config
from relay.moving_in.fragment import Fragment
from relay.spool.vault import sync_directory


def try_out(fragment: Fragment, target: Path, environ: Mapping[str, str]) -> Config:
    """The configuration as it would be, read from a scratch directory that is gone afterwards.

    Raises ConfigError with every fault.
    """
    with tempfile.TemporaryDirectory(prefix="relay-import-") as scratch:
        for name, text in _files(fragment, target).items():
            _create(Path(scratch) / name, text)
        return load(Path(scratch) / target.name, environ)


def put_in_place(fragment: Fragment, target: Path) -> list[Path]:
    """Write every file, the configuration last, for its owner alone; what was written.

    Raises FileExistsError before it writes anything: what is there stays as it is. Raises OSError;
    then nothing new is left.
    """
    files = {target.parent / name: text for name, text in _files(fragment, target).items()}
    for path in files:
        if path.exists():
            raise FileExistsError(None, None, str(path))
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    written: list[Path] = []
    try:
        for path, text in files.items():
            _create(path, text)
            written.append(path)
        sync_directory(target.absolute().parent)
    except BaseException:
        for path in written:
            path.unlink(missing_ok=True)
        raise
    return written


def _files(fragment: Fragment, target: Path) -> dict[str, str]:
    secrets = {name: f"{secret}\n" for name, secret in fragment.secrets.items()}
    return {**secrets, target.name: fragment.text}


def _create(path: Path, text: str) -> None:
    """A new file under its name only when it is whole and synced. Raises FileExistsError."""
    draft = path.with_name(f".{path.name}.draft")
    draft.unlink(missing_ok=True)
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        _name(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _name(draft: Path, path: Path) -> None:
    try:
        os.link(draft, path)  # unlike a rename it never replaces a file
    except FileExistsError:
        raise
    except OSError:  # a file system without second names
        if path.exists():
            raise FileExistsError(None, None, str(path)) from None
        draft.rename(path)
