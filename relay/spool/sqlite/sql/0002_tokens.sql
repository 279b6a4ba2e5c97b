-- Schema 2: tokens sealed with [spool] secret_key. Without that key they stand in <spool>.tokens.

CREATE TABLE token (
  host      TEXT NOT NULL,
  username  TEXT NOT NULL,
  sealed    BLOB NOT NULL,                  -- Fernet, see relay/spool/vault_cipher.py
  kept_at   INTEGER NOT NULL,
  PRIMARY KEY (host, username)
) STRICT, WITHOUT ROWID;
