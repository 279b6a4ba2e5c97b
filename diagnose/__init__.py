"""The examiner: what is wrong when mail does not leave, and what to do about it."""

from relay import __version__

__all__ = ["__version__"]
