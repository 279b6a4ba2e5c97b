"""`relay.toml`: read, checked, and turned into one frozen `Config` (see `relay.config.load`)."""
