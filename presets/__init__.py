"""What is known of each mail provider, and what its replies mean.

`presets.catalog` holds the servers, limits, sender rules, OAuth2 endpoints and SPF sources;
`presets.reply` and `presets.explain` tell what a reply means. Nothing is imported here, so
that a command pays only for what it uses.
"""
