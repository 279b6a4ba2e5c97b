-- What was accepted and what became of it, by the hour: told long after the messages are forgotten.
-- Reports of our own are not counted.

CREATE TABLE hour (
  hour       INTEGER NOT NULL,              -- since 1970 UTC
  client     TEXT NOT NULL,
  smarthost  TEXT NOT NULL,                 -- lane of the first recipient; empty: as intake saw it
  accepted   INTEGER NOT NULL DEFAULT 0,    -- messages, in the hour in which they came
  delivered  INTEGER NOT NULL DEFAULT 0,    -- messages, in the hour in which they were finished
  failed     INTEGER NOT NULL DEFAULT 0,    -- as `delivered`: one recipient of it at least failed
  bytes      INTEGER NOT NULL DEFAULT 0,    -- of the accepted
  tls        INTEGER NOT NULL DEFAULT 0,    -- messages that came over TLS
  refused    INTEGER NOT NULL DEFAULT 0,    -- messages and recipients of a listed client not taken
  PRIMARY KEY (hour, client, smarthost)
) STRICT, WITHOUT ROWID;

-- Finished messages that stand in `hour`; forgotten together with the message.
CREATE TABLE counted (
  message  INTEGER PRIMARY KEY
) STRICT;

CREATE TABLE client_seen (
  client   TEXT PRIMARY KEY,
  last_at  INTEGER NOT NULL,                -- of its latest message
  tls      INTEGER                          -- whether that came over TLS; empty: not known
) STRICT, WITHOUT ROWID;
