-- Schema 1. Times are microseconds since 1970-01-01 UTC, of the node's clock; only `lease_until` is of the
-- server's. An empty reverse_path is the null one. Who changes messages locks their rows of `message`, in
-- order of id, before those of `queue`: two nodes never wait for one another.

CREATE TABLE message (
  id              bigint PRIMARY KEY,       -- time-ordered, see relay/spool/ids.py
  received_at     bigint NOT NULL,
  expires_at      bigint NOT NULL,
  client          text NOT NULL,            -- name of the [[client]], 'relay' for our own DSNs
  client_address  text NOT NULL,
  reverse_path    text NOT NULL,
  body_8bit       boolean NOT NULL,
  smtputf8        boolean NOT NULL,
  ret             text,
  envid           text,
  bytes           bigint NOT NULL,
  message_id      text NOT NULL,            -- value of the Message-ID field
  subject         text,                     -- only with keep_subjects
  is_dsn          boolean NOT NULL,
  repairs         text NOT NULL,            -- JSON: [[slug, detail], ...]
  in_doubt        integer NOT NULL DEFAULT 0, -- attempts whose final reply was never seen
  warned_at       bigint,                   -- a delay DSN was sent
  finished_at     bigint                    -- nobody is queued or held any more; the body is gone
);
CREATE INDEX message_finished ON message (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX message_unfinished ON message (id) WHERE finished_at IS NULL;

-- The bytes as received, with Received and repairs in front. A small message is one row; a large one is
-- written in rows as it arrives, before its message row exists: old rows without one are orphans of an
-- interrupted DATA.
CREATE TABLE body (
  message   bigint NOT NULL,
  position  integer NOT NULL,
  bytes     bytea NOT NULL,
  crc       bigint NOT NULL,                -- CRC-32 of bytes
  PRIMARY KEY (message, position)
);
ALTER TABLE body ALTER COLUMN bytes SET STORAGE EXTERNAL;  -- mail hardly compresses

CREATE TABLE recipient (
  message         bigint NOT NULL,
  position        integer NOT NULL,
  address         text NOT NULL,
  origin          text NOT NULL CHECK (origin IN ('rcpt', 'bcc')),
  notify          text,                     -- RFC 3461, comma-separated
  orcpt           text,
  state           text NOT NULL CHECK (state IN ('queued', 'delivered', 'failed', 'held', 'deleted')),
  lane            text NOT NULL,            -- the smarthost it waits for
  pinned          text,                     -- a smarthost chosen by hand: the routes do not apply
  held_for        text CHECK (held_for IN
                    ('sandbox', 'trial', 'operator', 'sender', 'lifetime', 'learning', 'poison')),
  reply_code      integer,
  reply_enhanced  text,
  reply_text      text,
  settled_at      bigint,
  PRIMARY KEY (message, position)
);
CREATE INDEX recipient_held ON recipient (held_for, message) WHERE state = 'held';

-- One row for each message and lane with queued recipients: what a worker of some node claims. The lease is
-- the record of an attempt that is under way.
CREATE TABLE queue (
  message      bigint NOT NULL,
  lane         text NOT NULL,
  due_at       bigint NOT NULL,
  tries        integer NOT NULL DEFAULT 0,  -- counted refusals of this message, for its schedule
  token        bigint NOT NULL DEFAULT 0,   -- fencing: raised by each claim, and by what ends one
  lease_owner  text,                        -- a node, see relay/spool/node.py
  lease_until  bigint,
  leased_at    bigint,
  attempting   text,                        -- JSON: positions of the recipients
  PRIMARY KEY (message, lane)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);
CREATE INDEX queue_due ON queue (lane, due_at) WHERE lease_owner IS NULL;
CREATE INDEX queue_leased ON queue (lease_until) WHERE lease_owner IS NOT NULL;

CREATE TABLE attempt (
  id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  message         bigint NOT NULL,
  lane            text NOT NULL,
  token           bigint NOT NULL,
  at              bigint NOT NULL,
  seconds         double precision,
  address         text,                     -- of the smarthost, as dialled
  phase           text,
  recipients      text NOT NULL,            -- JSON: positions
  reply_code      integer,
  reply_enhanced  text,
  reply_text      text,
  outcome         text NOT NULL
                    CHECK (outcome IN ('delivered', 'deferred', 'held', 'failed', 'interrupted')),
  in_doubt        boolean NOT NULL DEFAULT false
);
CREATE INDEX attempt_message ON attempt (message);

-- What stands in the way of a whole smarthost, and whose limits its mail uses up.
CREATE TABLE lane (
  name            text PRIMARY KEY,
  blocked_by      text CHECK (blocked_by IN ('smarthost', 'account', 'quota')),
  blocked_until   bigint,
  failures        integer NOT NULL DEFAULT 0,
  since           bigint,
  cause           text,
  reply_code      integer,
  reply_enhanced  text,
  reply_text      text,
  size_bytes      bigint,                   -- SIZE as the smarthost last offered it
  host            text,
  username        text,
  max_recipients  integer NOT NULL DEFAULT 100
);

-- An account is (host, username), whichever smarthost entries name it.
CREATE TABLE account (
  host            text NOT NULL,
  username        text NOT NULL,
  paused_at       bigint,
  paused_until    bigint,                   -- empty: until the secret changes or someone resumes
  refusals        integer NOT NULL DEFAULT 0,
  secret_mark     text,                     -- keyed digest of the refused secret, to see a change
  cause           text,
  reply_code      integer,
  reply_enhanced  text,
  reply_text      text,
  arrival_at      bigint,                   -- GCRA: theoretical arrival time of the next message
  learned         text,                     -- JSON: limits lowered by the provider's replies
  PRIMARY KEY (host, username)
);

-- A row for each node: those of many nodes never wait for one another to count.
CREATE TABLE usage (
  host          text NOT NULL,
  username      text NOT NULL,
  minute        bigint NOT NULL,
  node          text NOT NULL,
  messages      bigint NOT NULL,
  recipients    bigint NOT NULL,
  transactions  bigint NOT NULL,            -- that the server saw begin
  PRIMARY KEY (minute, host, username, node)
);

CREATE TABLE refused (
  address   text PRIMARY KEY,
  count     bigint NOT NULL,
  first_at  bigint NOT NULL,
  last_at   bigint NOT NULL
);

CREATE TABLE adopted (
  address     text PRIMARY KEY,
  name        text NOT NULL,
  adopted_at  bigint NOT NULL
);

CREATE TABLE sender_rule (
  smarthost   text NOT NULL,
  sender      text NOT NULL,                -- an address, or *@domain; lower case
  address     text NOT NULL,
  adopted_at  bigint NOT NULL,
  PRIMARY KEY (smarthost, sender)
);

CREATE TABLE token (
  host      text NOT NULL,
  username  text NOT NULL,
  sealed    bytea NOT NULL,                 -- Fernet, see relay/spool/vault_cipher.py
  kept_at   bigint NOT NULL,
  PRIMARY KEY (host, username)
);

CREATE TABLE hour (
  hour       bigint NOT NULL,               -- since 1970 UTC
  client     text NOT NULL,
  smarthost  text NOT NULL,                 -- lane of the first recipient; empty: as intake saw it
  accepted   bigint NOT NULL DEFAULT 0,     -- messages, in the hour in which they came
  delivered  bigint NOT NULL DEFAULT 0,     -- messages, in the hour in which they were finished
  failed     bigint NOT NULL DEFAULT 0,     -- as `delivered`: one recipient of it at least failed
  bytes      bigint NOT NULL DEFAULT 0,     -- of the accepted
  tls        bigint NOT NULL DEFAULT 0,     -- messages that came over TLS
  refused    bigint NOT NULL DEFAULT 0,     -- messages and recipients of a listed client not taken
  PRIMARY KEY (hour, client, smarthost)
);

-- Finished messages that stand in `hour`; forgotten together with the message.
CREATE TABLE counted (
  message  bigint PRIMARY KEY
);

CREATE TABLE client_seen (
  client   text PRIMARY KEY,
  last_at  bigint NOT NULL,                 -- of its latest message
  tls      boolean                          -- whether that came over TLS; empty: not known
);

CREATE TABLE setting (
  name   text PRIMARY KEY,
  value  text NOT NULL
);
