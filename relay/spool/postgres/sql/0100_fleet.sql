-- The nodes, and what they use up together of an account. All times are of the server's clock.

CREATE TABLE node (
  id             text PRIMARY KEY,           -- as in queue.lease_owner, see relay/spool/node.py
  host           text NOT NULL,
  boot_id        text NOT NULL,
  pid            integer NOT NULL,
  version        text NOT NULL,
  configuration  text NOT NULL,              -- digest of relay.toml
  started_at     timestamptz NOT NULL,       -- of the node's clock
  seen_at        timestamptz NOT NULL,       -- its last beat
  ended          boolean NOT NULL DEFAULT false -- in good order
);

-- Who takes or gives back something of an account locks its row here first; of several accounts in order of
-- host and user name.
CREATE TABLE share (
  host        text NOT NULL,
  username    text NOT NULL,
  arrival_at  timestamptz,                   -- GCRA: theoretical arrival time of the next message
  PRIMARY KEY (host, username)
);

-- Connections that are open, or about to be.
CREATE TABLE slot (
  host         text NOT NULL,
  username     text NOT NULL,
  node         text NOT NULL,
  connections  integer NOT NULL,
  PRIMARY KEY (host, username, node)
);
CREATE INDEX slot_node ON slot (node);

-- Transactions under way, and those that ended in the last minutes. What one that is under way may use
-- counts as used; once it has ended that stands in `usage`.
CREATE TABLE permit (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  host        text NOT NULL,
  username    text NOT NULL,
  node        text NOT NULL,
  recipients  integer NOT NULL,
  spread      interval NOT NULL,             -- by which it put off the next one
  taken_at    timestamptz NOT NULL,
  ended_at    timestamptz,
  lost        boolean NOT NULL DEFAULT false -- with its node: what it used is not in `usage` yet
);
CREATE INDEX permit_account ON permit (host, username, ended_at);
CREATE INDEX permit_node ON permit (node) WHERE ended_at IS NULL;

-- What one node does at a time.
CREATE TABLE turn (
  name       text PRIMARY KEY,
  node       text NOT NULL,
  until      timestamptz NOT NULL
);

-- How often something was changed that nodes keep in memory.
CREATE TABLE change (
  topic    text PRIMARY KEY,
  version  bigint NOT NULL
);
INSERT INTO change (topic, version)
VALUES ('access', 1), ('senders', 1), ('lanes', 1), ('limits', 1);

CREATE INDEX usage_account ON usage (host, username, minute);

-- One for all nodes, or each would take a pause of another for one of a changed secret.
INSERT INTO setting (name, value)
VALUES ('secret_mark_key', replace(gen_random_uuid()::text, '-', ''))
ON CONFLICT (name) DO NOTHING;

-- A change is counted by the transaction that makes it, and told to who listens once it is committed.
CREATE FUNCTION relay_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE change SET version = version + 1 WHERE topic = TG_ARGV[0];
  PERFORM pg_notify('relay', json_build_array('', 'change', TG_ARGV[0])::text);
  RETURN NULL;
END
$$;

CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE ON adopted
  FOR EACH STATEMENT EXECUTE FUNCTION relay_changed('access');
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE ON sender_rule
  FOR EACH STATEMENT EXECUTE FUNCTION relay_changed('senders');
CREATE TRIGGER changed AFTER INSERT OR DELETE OR UPDATE OF blocked_by, blocked_until, failures,
    since, cause, size_bytes ON lane
  FOR EACH STATEMENT EXECUTE FUNCTION relay_changed('lanes');
-- Not of arrival_at, which each settlement writes.
CREATE TRIGGER changed AFTER UPDATE OF paused_at, paused_until ON account
  FOR EACH STATEMENT EXECUTE FUNCTION relay_changed('lanes');
CREATE TRIGGER paused AFTER INSERT ON account
  FOR EACH ROW WHEN (NEW.paused_at IS NOT NULL) EXECUTE FUNCTION relay_changed('lanes');
CREATE TRIGGER learned AFTER UPDATE OF learned ON account
  FOR EACH ROW WHEN (NEW.learned IS DISTINCT FROM OLD.learned)
  EXECUTE FUNCTION relay_changed('limits');
CREATE TRIGGER first_learned AFTER INSERT ON account
  FOR EACH ROW WHEN (NEW.learned IS NOT NULL) EXECUTE FUNCTION relay_changed('limits');
CREATE TRIGGER window_set AFTER INSERT OR UPDATE ON setting
  FOR EACH ROW WHEN (NEW.name = 'learning_until') EXECUTE FUNCTION relay_changed('access');
CREATE TRIGGER window_ended AFTER DELETE ON setting
  FOR EACH ROW WHEN (OLD.name = 'learning_until') EXECUTE FUNCTION relay_changed('access');

CREATE FUNCTION relay_gone_before() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
  SELECT clock_timestamp() - interval '30 seconds'
$$;

CREATE FUNCTION relay_lives(p_node text) RETURNS boolean LANGUAGE sql VOLATILE AS $$
  SELECT EXISTS (SELECT 1 FROM node
    WHERE id = p_node AND NOT ended AND seen_at > relay_gone_before())
$$;

-- The row of an account, locked; what follows sees what was committed before.
CREATE FUNCTION relay_lock_share(p_host text, p_username text) RETURNS timestamptz
LANGUAGE plpgsql AS $$
DECLARE
  arrival timestamptz;
BEGIN
  SELECT s.arrival_at INTO arrival FROM share s
  WHERE s.host = p_host AND s.username = p_username FOR UPDATE;
  IF NOT FOUND THEN
    INSERT INTO share (host, username) VALUES (p_host, p_username) ON CONFLICT DO NOTHING;
    SELECT s.arrival_at INTO arrival FROM share s
    WHERE s.host = p_host AND s.username = p_username FOR UPDATE;
  END IF;
  RETURN arrival;
END
$$;

-- A connection for a node that would have `p_mine` with it, if all nodes that live have at most `p_most`.
-- Not while the account is paused, which the node may not know yet.
CREATE FUNCTION relay_connect(p_host text, p_username text, p_node text, p_mine integer,
  p_most integer, OUT taken boolean, OUT elsewhere integer) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM relay_lock_share(p_host, p_username);
  SELECT coalesce(sum(s.connections), 0) INTO elsewhere FROM slot s JOIN node n ON n.id = s.node
  WHERE s.host = p_host AND s.username = p_username AND s.node <> p_node
    AND NOT n.ended AND n.seen_at > relay_gone_before();
  taken := elsewhere + p_mine <= p_most AND relay_lives(p_node) AND NOT EXISTS (
    SELECT 1 FROM account a WHERE a.host = p_host AND a.username = p_username
      AND a.paused_at IS NOT NULL
      AND (a.paused_until IS NULL OR a.paused_until > relay_now()));
  IF taken THEN
    PERFORM relay_hold(p_host, p_username, p_node, p_mine);
  END IF;
END
$$;

-- A node has so many connections now.
CREATE FUNCTION relay_hold(p_host text, p_username text, p_node text, p_connections integer)
RETURNS void LANGUAGE sql AS $$
  INSERT INTO slot (host, username, node, connections)
  VALUES (p_host, p_username, p_node, p_connections)
  ON CONFLICT (host, username, node) DO UPDATE SET connections = excluded.connections
$$;

-- What all nodes used of a day's limits, and may be using.
CREATE FUNCTION relay_used(p_host text, p_username text, OUT messages bigint, OUT recipients bigint)
LANGUAGE sql VOLATILE AS $$
  SELECT sum(t.messages)::bigint, sum(t.recipients)::bigint FROM (
    SELECT coalesce(sum(u.messages), 0) AS messages, coalesce(sum(u.recipients), 0) AS recipients
    FROM usage u WHERE u.host = p_host AND u.username = p_username
      -- A minute counts until its last second is 24 hours ago.
      AND u.minute > relay_now() / 60000000 - 1441
    UNION ALL
    SELECT count(*), coalesce(sum(p.recipients), 0) FROM permit p
    WHERE p.host = p_host AND p.username = p_username
      AND (p.ended_at IS NULL OR (p.lost AND p.ended_at > clock_timestamp() - interval '1 minute'))
  ) AS t
$$;

-- One transaction with as many of `p_wanted` recipients as there is room for, or how many seconds to wait.
-- `p_burst` may leave at once, then one each `p_interval`; what is under way has a place in its minute until
-- a minute after it ended, as nobody knows when the server counts it.
CREATE FUNCTION relay_begin(p_host text, p_username text, p_node text, p_per_minute integer,
  p_burst integer, p_interval interval, p_messages bigint, p_recipients bigint, p_wanted integer,
  OUT permit bigint, OUT granted integer, OUT wait double precision, OUT day boolean)
LANGUAGE plpgsql AS $$
DECLARE
  arrival timestamptz := relay_lock_share(p_host, p_username);
  moment timestamptz := clock_timestamp();
  spread interval := interval '0';
  used record;
  busy bigint;
  free_at timestamptz;
BEGIN
  granted := p_wanted;
  wait := 0;
  day := false;
  IF NOT relay_lives(p_node) THEN
    wait := 1;
    RETURN;
  END IF;

  IF p_messages IS NOT NULL OR p_recipients IS NOT NULL THEN
    SELECT * INTO used FROM relay_used(p_host, p_username);
    IF used.messages >= p_messages OR used.recipients >= p_recipients THEN
      wait := 1;
      day := true;
      RETURN;
    END IF;
    granted := least(p_wanted, p_recipients - used.recipients);
  END IF;

  IF p_per_minute IS NOT NULL THEN
    IF arrival > moment + interval '3 minutes' THEN
      arrival := NULL;                       -- the clock was set back since
    END IF;
    wait := greatest(extract(epoch FROM arrival - (p_burst - 1) * p_interval - moment), 0);
    SELECT count(*) INTO busy FROM permit p WHERE p.host = p_host AND p.username = p_username
      AND (p.ended_at IS NULL OR p.ended_at > moment - interval '1 minute');
    IF busy >= p_per_minute THEN
      SELECT p.ended_at INTO free_at FROM permit p
      WHERE p.host = p_host AND p.username = p_username
        AND p.ended_at > moment - interval '1 minute'
      ORDER BY p.ended_at OFFSET busy - p_per_minute LIMIT 1;
      wait := greatest(wait, coalesce(
        extract(epoch FROM free_at + interval '1 minute' - moment), 60));
    END IF;
    wait := coalesce(wait, 0);
    IF wait > 0 THEN
      RETURN;
    END IF;
    spread := p_interval;
    UPDATE share s SET arrival_at = greatest(arrival, moment) + spread
    WHERE s.host = p_host AND s.username = p_username;
  END IF;

  INSERT INTO permit (host, username, node, recipients, spread, taken_at)
  VALUES (p_host, p_username, p_node, granted, spread, moment) RETURNING id INTO permit;
END
$$;

-- The same transaction with more recipients, as far as the day has room; how many it has now.
CREATE FUNCTION relay_widen(p_host text, p_username text, p_permit bigint, p_recipients bigint,
  p_wanted integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  has integer;
BEGIN
  PERFORM relay_lock_share(p_host, p_username);
  SELECT p.recipients INTO has FROM permit p WHERE p.id = p_permit;
  IF p_recipients IS NULL THEN
    has := p_wanted;
  ELSE
    has := has + greatest(least(p_wanted - has,
      p_recipients - (SELECT u.recipients FROM relay_used(p_host, p_username) u)), 0);
  END IF;
  UPDATE permit p SET recipients = has WHERE p.id = p_permit;
  RETURN has;
END
$$;

-- Transactions of one account that have ended, and others that never began.
CREATE FUNCTION relay_end(p_host text, p_username text, p_used bigint[], p_unused bigint[])
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  back interval;
BEGIN
  PERFORM relay_lock_share(p_host, p_username);
  UPDATE permit SET ended_at = clock_timestamp() WHERE id = ANY (p_used) AND ended_at IS NULL;
  WITH gone AS (DELETE FROM permit WHERE id = ANY (p_unused) AND ended_at IS NULL RETURNING spread)
  SELECT sum(spread) INTO back FROM gone;
  IF back IS NOT NULL THEN
    UPDATE share s SET arrival_at = s.arrival_at - back
    WHERE s.host = p_host AND s.username = p_username;
  END IF;
END
$$;

-- A node lives, and holds exactly this: connections [[host, username, count], ...] and permits. One that it
-- took a while ago and does not know was taken by a commit whose answer was lost.
CREATE FUNCTION relay_beat(p_node jsonb, p_slots jsonb, p_permits bigint[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  me text := p_node ->> 'id';
BEGIN
  INSERT INTO node AS n (id, host, boot_id, pid, version, configuration, started_at, seen_at)
  VALUES (me, p_node ->> 'host', p_node ->> 'boot_id', (p_node ->> 'pid')::integer,
    p_node ->> 'version', p_node ->> 'configuration', (p_node ->> 'started_at')::timestamptz,
    clock_timestamp())
  ON CONFLICT (id) DO UPDATE SET seen_at = clock_timestamp(), version = excluded.version,
    configuration = excluded.configuration, ended = false;

  DELETE FROM slot s WHERE s.node = me AND NOT EXISTS (SELECT 1 FROM jsonb_array_elements(p_slots)
    AS v WHERE v ->> 0 = s.host AND v ->> 1 = s.username);
  INSERT INTO slot (host, username, node, connections)
  SELECT v ->> 0, v ->> 1, me, (v ->> 2)::integer FROM jsonb_array_elements(p_slots) AS v
  ON CONFLICT (host, username, node) DO UPDATE SET connections = excluded.connections;

  UPDATE permit SET ended_at = clock_timestamp() WHERE node = me AND ended_at IS NULL
    AND taken_at < clock_timestamp() - interval '1 minute' AND id <> ALL (p_permits);
END
$$;

-- What nodes that are gone held is given back, by one node at a time; and what nobody needs is forgotten.
CREATE FUNCTION relay_bury() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF NOT pg_try_advisory_xact_lock(1380274498) THEN
    RETURN;
  END IF;
  -- The server may count for a minute still what they had under way.
  UPDATE permit p SET ended_at = clock_timestamp(), lost = true
  WHERE p.ended_at IS NULL AND NOT relay_lives(p.node);
  DELETE FROM slot s WHERE s.connections = 0 OR NOT relay_lives(s.node);
  DELETE FROM permit p WHERE p.ended_at < clock_timestamp() - interval '3 minutes';
  DELETE FROM turn t WHERE t.until < clock_timestamp();
  DELETE FROM node n WHERE n.seen_at < clock_timestamp() - interval '1 day';
END
$$;

-- A node ends in good order; it holds nothing any more.
CREATE FUNCTION relay_leave(p_node text) RETURNS void LANGUAGE sql AS $$
  UPDATE node SET ended = true, seen_at = clock_timestamp() WHERE id = p_node;
  DELETE FROM slot WHERE node = p_node;
  UPDATE permit SET ended_at = clock_timestamp() WHERE node = p_node AND ended_at IS NULL;
  DELETE FROM turn WHERE node = p_node;
$$;

-- A turn of so many seconds at most, if nobody has it; a node that is gone has none.
CREATE FUNCTION relay_take_turn(p_name text, p_node text, p_seconds integer) RETURNS boolean
LANGUAGE sql AS $$
  WITH taken AS (
    INSERT INTO turn AS t (name, node, until)
    VALUES (p_name, p_node, clock_timestamp() + make_interval(secs => p_seconds))
    ON CONFLICT (name) DO UPDATE SET node = excluded.node, until = excluded.until
    WHERE t.until < clock_timestamp()
      OR EXISTS (SELECT 1 FROM node n WHERE n.id = t.node AND NOT relay_lives(n.id))
    RETURNING 1)
  SELECT EXISTS (SELECT 1 FROM taken)
$$;
