-- What happens to each message, for many of them in one call: a call is what costs time here.

-- The server's clock, in microseconds.
CREATE FUNCTION relay_now() RETURNS bigint LANGUAGE sql VOLATILE AS $$
  SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
$$;

-- Begins each transaction that changes something: whatever the session, the role or a pooler has set, its
-- commit is on the disk before it is answered.
CREATE FUNCTION relay_durable() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('fsync') <> 'on' OR current_setting('full_page_writes') <> 'on' THEN
    RAISE EXCEPTION 'fsync=% full_page_writes=%: both must be on', current_setting('fsync'),
      current_setting('full_page_writes') USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  IF set_config('synchronous_commit', 'on', true) <> 'on' THEN
    RAISE EXCEPTION 'synchronous_commit cannot be set'
      USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
END
$$;

-- New messages. Each is an object with the columns of `message`; `recipients` [[address, origin, notify,
-- orcpt, state, lane, held_for], ...]; `due_at`; `position`, `crc` and the place in `pieces` (from 1) of
-- the bytes that are not in the store yet, if any. One with `again` may be there from a commit whose
-- answer was lost.
CREATE FUNCTION relay_accept(arrivals jsonb, pieces bytea[]) RETURNS void LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  a record;
BEGIN
  FOR a IN SELECT * FROM jsonb_to_recordset(arrivals) AS t (id bigint, received_at bigint,
    expires_at bigint, client text, client_address text, reverse_path text, body_8bit boolean,
    smtputf8 boolean, ret text, envid text, bytes bigint, message_id text, subject text,
    is_dsn boolean, repairs text, recipients jsonb, due_at bigint, position integer, crc bigint,
    piece integer, again boolean)
  LOOP
    CONTINUE WHEN a.again AND EXISTS (SELECT 1 FROM message m WHERE m.id = a.id
      AND m.received_at = a.received_at AND m.bytes = a.bytes
      AND m.client_address = a.client_address AND m.message_id = a.message_id);

    INSERT INTO message (id, received_at, expires_at, client, client_address, reverse_path,
      body_8bit, smtputf8, ret, envid, bytes, message_id, subject, is_dsn, repairs)
    VALUES (a.id, a.received_at, a.expires_at, a.client, a.client_address, a.reverse_path,
      a.body_8bit, a.smtputf8, a.ret, a.envid, a.bytes, a.message_id, a.subject, a.is_dsn,
      a.repairs);

    IF a.piece IS NOT NULL THEN
      INSERT INTO body (message, position, bytes, crc)
      VALUES (a.id, a.position, pieces[a.piece], a.crc);
    END IF;

    INSERT INTO recipient (message, position, address, origin, notify, orcpt, state, lane, held_for)
    SELECT a.id, r.place - 1, r.value ->> 0, r.value ->> 1, r.value ->> 2, r.value ->> 3,
      r.value ->> 4, r.value ->> 5, r.value ->> 6
    FROM jsonb_array_elements(a.recipients) WITH ORDINALITY AS r (value, place);

    INSERT INTO queue (message, lane, due_at)
    SELECT DISTINCT a.id, r.value ->> 5, a.due_at
    FROM jsonb_array_elements(a.recipients) AS r (value) WHERE r.value ->> 4 = 'queued';
  END LOOP;
END
$$;

-- Messages that are due, leased to `owner`. `wanted` is [{lane, most, at}, ...]; `place` (from 1) in it
-- is with each row. A message of which nobody waits in the lane leaves its queue.
CREATE FUNCTION relay_claim(wanted jsonb, owner text, lease bigint, carried bigint)
RETURNS TABLE (place integer, message bigint, lane text, tries integer, token bigint,
  received_at bigint, expires_at bigint, client text, client_address text, reverse_path text,
  body_8bit boolean, smtputf8 boolean, ret text, envid text, bytes bigint, message_id text,
  is_dsn boolean, in_doubt integer, warned_at bigint, recipients text, body bytea, crc bigint)
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
  w record;
  d record;
  waiting text;
BEGIN
  FOR w IN SELECT * FROM jsonb_array_elements(wanted) WITH ORDINALITY AS t (value, number)
  LOOP
    FOR d IN SELECT q.message, q.lane FROM queue q
      WHERE q.lane = w.value ->> 'lane' AND q.lease_owner IS NULL
        AND q.due_at <= (w.value ->> 'at')::bigint
      ORDER BY q.due_at LIMIT (w.value ->> 'most')::integer FOR UPDATE SKIP LOCKED
    LOOP
      SELECT json_agg(r.position ORDER BY r.position)::text INTO waiting FROM recipient r
      WHERE r.message = d.message AND r.lane = d.lane AND r.state = 'queued';
      IF waiting IS NULL THEN
        DELETE FROM queue q WHERE q.message = d.message AND q.lane = d.lane;
        CONTINUE;
      END IF;
      RETURN QUERY
      WITH leased AS (
        UPDATE queue q SET lease_owner = owner, lease_until = relay_now() + lease,
          leased_at = (w.value ->> 'at')::bigint, attempting = waiting, token = q.token + 1
        WHERE q.message = d.message AND q.lane = d.lane
        RETURNING q.tries, q.token)
      SELECT w.number::integer, m.id, d.lane, l.tries, l.token, m.received_at, m.expires_at,
        m.client, m.client_address, m.reverse_path, m.body_8bit, m.smtputf8, m.ret, m.envid,
        m.bytes, m.message_id, m.is_dsn, m.in_doubt, m.warned_at,
        (SELECT json_agg(json_build_array(r.position, r.address, r.origin, r.notify, r.orcpt,
          r.state, r.lane, r.pinned) ORDER BY r.position) FROM recipient r
          WHERE r.message = m.id)::text,
        b.bytes, b.crc
      FROM leased l, message m
      LEFT JOIN body b ON b.message = m.id AND b.position = 0 AND m.bytes <= carried
      WHERE m.id = d.message;
    END LOOP;
  END LOOP;
END
$$;

-- How claims ended; for each whether it counted. Objects with `message`, `lane` and `token`, the time
-- `at`; `results` [[position, state, held_for, code, enhanced, text], ...] of recipients that wait no
-- more; `refusals` [[position, code, enhanced, text], ...] and `moves` [[position, lane], ...] of those
-- that wait on; `attempts` [[at, seconds, address, phase, recipients, code, enhanced, text, outcome,
-- in_doubt], ...], where no `at` is that of the claim; `usage` [host, username, minute, messages,
-- recipients, transactions, arrival_at]; `dsns` as for relay_accept. One with `again` may have been
-- settled by a commit whose answer was lost.
--
-- A lease that ran out is no reason to refuse: as long as nobody claimed anew, what is known now is
-- better than the doubt.
CREATE FUNCTION relay_settle(endings jsonb, pieces bytea[], node text) RETURNS boolean[]
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  e record;
  q queue%ROWTYPE;
  doubted attempt%ROWTYPE;
  counted boolean[] := '{}';
  used jsonb := '[]';
  finished boolean;
BEGIN
  PERFORM 1 FROM message m
  WHERE m.id IN (SELECT (value ->> 'message')::bigint FROM jsonb_array_elements(endings))
  ORDER BY m.id FOR NO KEY UPDATE;

  FOR e IN SELECT * FROM jsonb_to_recordset(endings) AS t (message bigint, lane text,
    token bigint, at bigint, results jsonb, refusals jsonb, moves jsonb, attempts jsonb,
    due_at bigint, counts integer, doubts integer, warned_at bigint, usage jsonb, dsns jsonb,
    again boolean)
  LOOP
    SELECT * INTO q FROM queue WHERE queue.message = e.message AND queue.lane = e.lane
      AND queue.token = e.token AND queue.leased_at IS NOT NULL FOR UPDATE;
    IF NOT FOUND THEN
      counted := counted || (coalesce(e.again, false) AND EXISTS (SELECT 1 FROM attempt t
        WHERE t.message = e.message AND t.lane = e.lane AND t.token = e.token
          AND t.outcome <> 'interrupted'));
      CONTINUE;
    END IF;
    counted := counted || true;

    IF q.lease_owner IS NULL THEN
      DELETE FROM attempt t WHERE t.message = e.message AND t.lane = e.lane AND t.token = e.token
        AND t.outcome = 'interrupted';
      UPDATE message m SET in_doubt = m.in_doubt - 1 WHERE m.id = e.message;
    END IF;

    UPDATE recipient r SET state = v ->> 1, held_for = v ->> 2, reply_code = (v ->> 3)::integer,
      reply_enhanced = v ->> 4, reply_text = v ->> 5, settled_at = e.at
    FROM jsonb_array_elements(e.results) AS v
    WHERE r.message = e.message AND r.position = (v ->> 0)::integer;

    IF e.refusals IS NOT NULL THEN
      UPDATE recipient r SET reply_code = (v ->> 1)::integer, reply_enhanced = v ->> 2,
        reply_text = v ->> 3
      FROM jsonb_array_elements(e.refusals) AS v
      WHERE r.message = e.message AND r.position = (v ->> 0)::integer;
    END IF;

    IF e.moves IS NOT NULL THEN
      UPDATE recipient r SET lane = v ->> 1 FROM jsonb_array_elements(e.moves) AS v
      WHERE r.message = e.message AND r.position = (v ->> 0)::integer
        AND r.state IN ('queued', 'held');
    END IF;

    INSERT INTO attempt (message, lane, token, at, seconds, address, phase, recipients, reply_code,
      reply_enhanced, reply_text, outcome, in_doubt)
    SELECT e.message, e.lane, e.token, coalesce((v ->> 0)::bigint, q.leased_at),
      (v ->> 1)::double precision, v ->> 2, v ->> 3, v ->> 4, (v ->> 5)::integer, v ->> 6, v ->> 7,
      v ->> 8, (v ->> 9)::boolean
    FROM jsonb_array_elements(e.attempts) AS v;

    IF EXISTS (SELECT 1 FROM recipient r
      WHERE r.message = e.message AND r.lane = e.lane AND r.state = 'queued')
    THEN
      UPDATE queue SET lease_owner = NULL, lease_until = NULL, leased_at = NULL, attempting = NULL,
        token = queue.token + 1, due_at = coalesce(e.due_at, queue.due_at),
        tries = queue.tries + e.counts
      WHERE queue.message = e.message AND queue.lane = e.lane;
    ELSE
      DELETE FROM queue WHERE queue.message = e.message AND queue.lane = e.lane;
    END IF;

    IF e.moves IS NOT NULL THEN
      INSERT INTO queue AS w (message, lane, due_at)
      SELECT DISTINCT e.message, v ->> 1, coalesce(e.due_at, e.at)
      FROM jsonb_array_elements(e.moves) AS v
      ON CONFLICT (message, lane) DO UPDATE SET due_at = least(w.due_at, excluded.due_at);
    END IF;

    -- A message that nobody waits for any more loses its body.
    finished := NOT EXISTS (SELECT 1 FROM recipient r
      WHERE r.message = e.message AND r.state IN ('queued', 'held'));
    IF finished OR e.doubts > 0 OR e.warned_at IS NOT NULL THEN
      UPDATE message m SET in_doubt = m.in_doubt + e.doubts,
        warned_at = coalesce(e.warned_at, m.warned_at),
        finished_at = CASE WHEN finished THEN coalesce(m.finished_at, e.at) END
      WHERE m.id = e.message;
    END IF;
    IF finished THEN
      DELETE FROM body b WHERE b.message = e.message;
    END IF;

    IF e.usage IS NOT NULL THEN
      used := used || jsonb_build_array(e.usage);
    END IF;
    IF e.dsns IS NOT NULL THEN
      PERFORM relay_accept(e.dsns, pieces);
    END IF;
  END LOOP;

  PERFORM relay_use(used, node);
  RETURN counted;
END
$$;

-- Count what was used, [[host, username, minute, messages, recipients, transactions, arrival_at], ...].
-- Always in the same order, and last in a transaction: nodes wait for one another only for a moment.
CREATE FUNCTION relay_use(used jsonb, node text) RETURNS void LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  INSERT INTO usage AS u (host, username, minute, node, messages, recipients, transactions)
  SELECT v ->> 0, v ->> 1, (v ->> 2)::bigint, relay_use.node, sum((v ->> 3)::bigint),
    sum((v ->> 4)::bigint), sum((v ->> 5)::bigint)
  FROM jsonb_array_elements(used) AS v WHERE (v ->> 5)::bigint > 0
  GROUP BY 1, 2, 3 ORDER BY 3, 1, 2
  ON CONFLICT (minute, host, username, node) DO UPDATE SET
    messages = u.messages + excluded.messages, recipients = u.recipients + excluded.recipients,
    transactions = u.transactions + excluded.transactions;

  INSERT INTO account AS a (host, username, arrival_at)
  SELECT v ->> 0, v ->> 1, max((v ->> 6)::bigint)
  FROM jsonb_array_elements(used) AS v WHERE v ->> 6 IS NOT NULL
  GROUP BY 1, 2 ORDER BY 1, 2
  ON CONFLICT (host, username) DO UPDATE SET arrival_at = greatest(a.arrival_at, excluded.arrival_at);
END
$$;

-- Leases that ran out by the server's clock: the interrupted attempt is recorded in doubt, and the message
-- is there for others. What it used nobody knows: it counts as used in `minute`. How many there were.
CREATE FUNCTION relay_expire(minute bigint, node text) RETURNS integer LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  e record;
  used jsonb := '[]';
  number integer := 0;
  people integer;
BEGIN
  FOR e IN SELECT q.message, q.lane FROM queue q
    WHERE q.lease_owner IS NOT NULL AND q.lease_until < relay_now()
    ORDER BY q.message, q.lane LIMIT 500
  LOOP
    -- Who is at it already, another node or the one that is late, ends it.
    PERFORM 1 FROM message m WHERE m.id = e.message FOR NO KEY UPDATE SKIP LOCKED;
    CONTINUE WHEN NOT FOUND;
    INSERT INTO attempt (message, lane, token, at, recipients, outcome, in_doubt)
    SELECT q.message, q.lane, q.token, q.leased_at, q.attempting, 'interrupted', true FROM queue q
    WHERE q.message = e.message AND q.lane = e.lane AND q.lease_owner IS NOT NULL
      AND q.lease_until < relay_now()
    FOR UPDATE SKIP LOCKED;
    CONTINUE WHEN NOT FOUND;
    UPDATE message m SET in_doubt = m.in_doubt + 1 WHERE m.id = e.message;
    SELECT jsonb_array_length(q.attempting::jsonb) INTO people FROM queue q
    WHERE q.message = e.message AND q.lane = e.lane;
    used := used || coalesce((SELECT jsonb_build_array(jsonb_build_array(l.host, l.username,
        relay_expire.minute, n.transactions, people, n.transactions, NULL))
      FROM lane l, LATERAL (SELECT (people + l.max_recipients - 1) / l.max_recipients
        AS transactions) AS n
      WHERE l.name = e.lane AND l.host IS NOT NULL), '[]');
    UPDATE queue q SET lease_owner = NULL, lease_until = NULL
    WHERE q.message = e.message AND q.lane = e.lane;
    number := number + 1;
  END LOOP;
  PERFORM relay_use(used, node);
  RETURN number;
END
$$;
