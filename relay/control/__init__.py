"""What an operator does to a running or a stopped relay: one set of actions, one set of documents."""
