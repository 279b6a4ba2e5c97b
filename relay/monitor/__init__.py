"""What the relay tells people and programs while it works."""
