"""The durable spool: what is accepted, who still waits for it, and what was tried.

One protocol (`protocol.py`) over one store; `sqlite/` is the store of a single machine.
"""
