"""What PostgreSQL and the way to it fail with, in the spool's words."""

import asyncpg

from relay.spool.errors import (
    SpoolBusy,
    SpoolDamaged,
    SpoolError,
    SpoolFailing,
    SpoolFull,
)

_LOST_STATES = ("08", "57P", "53300", "3D000", "28")
"""SQLSTATEs after which the connection is of no use: no connection, shut down, none left, no such
database, not let in."""

_AGAIN_STATES = ("40001", "40P01", "55P03")
"""A transaction that stood in another's way: the same once more may well succeed."""

_OF_THE_WAY = (OSError, EOFError, asyncpg.InterfaceError, asyncpg.InternalClientError)


def is_lost(error: BaseException) -> bool:
    """The connection went, or never came: nobody knows what became of what was asked last."""
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "").startswith(_LOST_STATES)
    # asyncpg says InterfaceError of a connection that is closed, and InternalClientError of one
    # whose bytes make no sense.
    return isinstance(error, _OF_THE_WAY) and not isinstance(error, asyncpg.DataError)


def is_conflict(error: BaseException) -> bool:
    """Another transaction was in the way."""
    return isinstance(error, asyncpg.PostgresError) and error.sqlstate in _AGAIN_STATES


def of_the_store(error: BaseException) -> bool:
    """It came from the database or the way to it, not from our own code."""
    return isinstance(error, (*_OF_THE_WAY, asyncpg.PostgresError, UnicodeError, SpoolError))


def spool_error(error: BaseException) -> SpoolError:
    """The error in the spool's words; one of its own stays as it is."""
    if isinstance(error, SpoolError):
        return error
    state = (error.sqlstate or "") if isinstance(error, asyncpg.PostgresError) else ""
    text = f"PostgreSQL: {error}" if str(error) else f"PostgreSQL: {type(error).__name__}"
    if state == "53100":
        return SpoolFull(text)
    if state in ("58030", "25006", "55000"):
        return SpoolFailing(text)
    if state.startswith("XX00"):
        return SpoolDamaged(text)
    if state == "53200":
        return SpoolBusy(text)
    if is_lost(error):
        return SpoolFailing(text if state else f"PostgreSQL cannot be reached: {_why(error)}")
    return SpoolError(text)


def _why(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
