-- Schema 1. Times are microseconds since 1970-01-01 UTC. An empty reverse_path is the null one.

CREATE TABLE message (
  id              INTEGER PRIMARY KEY,      -- time-ordered, see relay/spool/ids.py
  received_at     INTEGER NOT NULL,
  expires_at      INTEGER NOT NULL,
  client          TEXT NOT NULL,            -- name of the [[client]], 'relay' for our own DSNs
  client_address  TEXT NOT NULL,
  reverse_path    TEXT NOT NULL,
  body_8bit       INTEGER NOT NULL,
  smtputf8        INTEGER NOT NULL,
  ret             TEXT,
  envid           TEXT,
  bytes           INTEGER NOT NULL,
  message_id      TEXT NOT NULL,            -- value of the Message-ID field
  subject         TEXT,                     -- only with keep_subjects
  is_dsn          INTEGER NOT NULL,
  repairs         TEXT NOT NULL,            -- JSON: [[slug, detail], ...]
  in_doubt        INTEGER NOT NULL DEFAULT 0, -- attempts whose final reply was never seen
  warned_at       INTEGER,                  -- a delay DSN was sent
  finished_at     INTEGER                   -- nobody is queued or held any more; the body is gone
) STRICT;
CREATE INDEX message_finished ON message (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX message_unfinished ON message (id) WHERE finished_at IS NULL;

-- The bytes as received, with Received and repairs in front. A small message is one row; a large
-- one is written in rows as it arrives, before its message row exists: rows without one are
-- orphans of an interrupted DATA and are swept at start.
CREATE TABLE body (
  id        INTEGER PRIMARY KEY,
  message   INTEGER NOT NULL,
  position  INTEGER NOT NULL,
  bytes     BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX body_message ON body (message, position);

CREATE TABLE recipient (
  message         INTEGER NOT NULL,
  position        INTEGER NOT NULL,
  address         TEXT NOT NULL,
  origin          TEXT NOT NULL CHECK (origin IN ('rcpt', 'bcc')),
  notify          TEXT,                     -- RFC 3461, comma-separated
  orcpt           TEXT,
  state           TEXT NOT NULL CHECK (state IN ('queued', 'delivered', 'failed', 'held', 'deleted')),
  lane            TEXT NOT NULL,            -- the smarthost it waits for
  pinned          TEXT,                     -- a smarthost chosen by hand: the routes do not apply
  held_for        TEXT CHECK (held_for IN
                    ('sandbox', 'trial', 'operator', 'sender', 'lifetime', 'learning', 'poison')),
  reply_code      INTEGER,
  reply_enhanced  TEXT,
  reply_text      TEXT,
  settled_at      INTEGER,
  PRIMARY KEY (message, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX recipient_held ON recipient (held_for, message) WHERE state = 'held';

-- One row for each message and lane with queued recipients: what a worker claims.
CREATE TABLE queue (
  message      INTEGER NOT NULL,
  lane         TEXT NOT NULL,
  due_at       INTEGER NOT NULL,
  tries        INTEGER NOT NULL DEFAULT 0,  -- counted refusals of this message, for its schedule
  token        INTEGER NOT NULL DEFAULT 0,  -- fencing: raised by each claim
  lease_owner  TEXT,
  lease_until  INTEGER,
  PRIMARY KEY (message, lane)
) STRICT, WITHOUT ROWID;
CREATE INDEX queue_due ON queue (lane, due_at) WHERE lease_owner IS NULL;
CREATE INDEX queue_leased ON queue (lease_until) WHERE lease_owner IS NOT NULL;

-- Written before dialling, completed with the outcome. A row without an outcome at start belongs
-- to a process that died: in doubt.
CREATE TABLE attempt (
  id              INTEGER PRIMARY KEY,
  message         INTEGER NOT NULL,
  lane            TEXT NOT NULL,
  token           INTEGER NOT NULL,
  at              INTEGER NOT NULL,
  seconds         REAL,
  address         TEXT,                     -- of the smarthost, as dialled
  phase           TEXT,
  recipients      TEXT NOT NULL,            -- JSON: positions
  reply_code      INTEGER,
  reply_enhanced  TEXT,
  reply_text      TEXT,
  outcome         TEXT CHECK (outcome IN ('delivered', 'deferred', 'held', 'failed', 'interrupted')),
  in_doubt        INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX attempt_message ON attempt (message);
CREATE INDEX attempt_running ON attempt (id) WHERE outcome IS NULL;

-- What stands in the way of a whole smarthost.
CREATE TABLE lane (
  name            TEXT PRIMARY KEY,
  blocked_by      TEXT CHECK (blocked_by IN ('smarthost', 'account', 'quota')),
  blocked_until   INTEGER,
  failures        INTEGER NOT NULL DEFAULT 0,
  since           INTEGER,
  cause           TEXT,
  reply_code      INTEGER,
  reply_enhanced  TEXT,
  reply_text      TEXT,
  size_bytes      INTEGER                   -- SIZE as the smarthost last offered it
) STRICT, WITHOUT ROWID;

-- An account is (host, username), whichever smarthost entries name it.
CREATE TABLE account (
  host            TEXT NOT NULL,
  username        TEXT NOT NULL,
  paused_at       INTEGER,
  paused_until    INTEGER,                  -- empty: until the secret changes or someone resumes
  refusals        INTEGER NOT NULL DEFAULT 0,
  secret_mark     TEXT,                     -- keyed digest of the refused secret, to see a change
  cause           TEXT,
  reply_code      INTEGER,
  reply_enhanced  TEXT,
  reply_text      TEXT,
  arrival_at      INTEGER,                  -- GCRA: theoretical arrival time of the next message
  learned         TEXT,                     -- JSON: limits lowered by the provider's replies
  PRIMARY KEY (host, username)
) STRICT, WITHOUT ROWID;

CREATE TABLE usage (
  host        TEXT NOT NULL,
  username    TEXT NOT NULL,
  minute      INTEGER NOT NULL,
  messages    INTEGER NOT NULL,
  recipients  INTEGER NOT NULL,
  PRIMARY KEY (host, username, minute)
) STRICT, WITHOUT ROWID;

CREATE TABLE refused (
  address   TEXT PRIMARY KEY,
  count     INTEGER NOT NULL,
  first_at  INTEGER NOT NULL,
  last_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE adopted (
  address     TEXT PRIMARY KEY,
  name        TEXT NOT NULL,
  adopted_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE setting (
  name   TEXT PRIMARY KEY,
  value  TEXT NOT NULL
) STRICT, WITHOUT ROWID;
