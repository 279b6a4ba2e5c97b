"""The accounts at the smarthosts: consent, tokens, and trying a login."""
