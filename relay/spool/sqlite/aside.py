"""Another file in the place of a spool, the old one kept aside, whenever the power may fail.

The new file is complete and synced before it gets the name `<spool>.next`. From then on each start
puts it in place, however far the last one came; nothing of the old one is ever deleted.
"""

import contextlib
import os
import shutil
from datetime import datetime
from pathlib import Path

from relay.spool.vault import give_to_owner, sync_directory

_BESIDE = ("-wal", "-shm")


def next_path(spool: Path) -> Path:
    """Where the new file has to be, complete and synced, for `put_in_place`."""
    return spool.with_name(f"{spool.name}.next")


def draft_path(spool: Path) -> Path:
    """Where the new file is made; what an interrupted start left there is gone."""
    path = spool.with_name(f"{spool.name}.draft")
    for each in (path, *(path.with_name(path.name + suffix) for suffix in _BESIDE)):
        each.unlink(missing_ok=True)
    return path


def damaged_files(spool: Path) -> list[Path]:
    """What was kept aside because it was damaged, until somebody deletes it."""
    found = spool.parent.glob(f"{spool.name}.damaged-*")
    return sorted(path for path in found if not path.name.endswith(_BESIDE))


def publish(spool: Path, draft: Path) -> None:
    """`draft`, which nobody has open any more, is what `put_in_place` takes from now on."""
    with draft.open("r+b") as file:
        give_to_owner(file.fileno(), spool.parent)
        os.fsync(file.fileno())
    draft.replace(next_path(spool))
    sync_directory(spool.parent)


def put_in_place(spool: Path, word: str, now: datetime) -> Path | None:
    """The new file becomes the spool, the old one `<spool>.WORD-TIME`; None where there is no old.

    Does nothing without a new file. The caller holds the spool's lock, and no file is open.
    """
    new = next_path(spool)
    if not new.exists():
        return None
    aside: Path | None = None
    if spool.exists():
        aside = _free_name(spool, f"{word}-{now:%Y%m%dT%H%M%SZ}")
        for suffix in ("", *_BESIDE):
            with contextlib.suppress(FileNotFoundError):
                _keep(spool.with_name(spool.name + suffix), aside.with_name(aside.name + suffix))
        sync_directory(spool.parent)
    for suffix in _BESIDE:  # of the old file: SQLite would read them into the new one
        spool.with_name(spool.name + suffix).unlink(missing_ok=True)
    new.replace(spool)
    sync_directory(spool.parent)
    return aside


def _keep(path: Path, kept: Path) -> None:
    """A second name; a copy where the file system has no such thing."""
    try:
        os.link(path, kept)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copy2(path, kept)
        with kept.open("r+b") as file:
            os.fsync(file.fileno())


def _free_name(spool: Path, ending: str) -> Path:
    path, number = spool.with_name(f"{spool.name}.{ending}"), 1
    while path.exists():
        number += 1
        path = spool.with_name(f"{spool.name}.{ending}-{number}")
    return path
