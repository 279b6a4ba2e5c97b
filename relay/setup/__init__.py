"""`relay setup`: from nothing to a relay.toml that was tried, by answers to a few questions."""
