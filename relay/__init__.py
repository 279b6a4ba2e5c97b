"""The relay: accepts mail from listed machines, stores it safely, forwards it with credentials."""

__version__ = "0.1.0"
