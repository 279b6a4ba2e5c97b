"""The control API over HTTP, served inside the daemon."""
