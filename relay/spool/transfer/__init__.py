"""A whole spool carried from one store to another: `move`."""
