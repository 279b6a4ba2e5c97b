"""What stands between a client's socket and the spool: grammar, DATA reader, limits, replies."""
