"""The next server: connecting, TLS, login, and the mail transaction over it."""
