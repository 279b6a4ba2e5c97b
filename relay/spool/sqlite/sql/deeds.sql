-- What happens to each message, each deed one statement of the writing connection: an INSERT into
-- one of these views. Every statement costs the interpreter's lock, which a busy loop may keep.

-- A message with its recipients, as JSON [[address, origin, notify, orcpt, state, lane, held_for],
-- ...], and the bytes that are not in the store yet; with a lease it is claimed at once.
CREATE TEMP VIEW arrival AS SELECT NULL AS id, NULL AS received_at, NULL AS expires_at,
  NULL AS client, NULL AS client_address, NULL AS reverse_path, NULL AS body_8bit,
  NULL AS smtputf8, NULL AS ret, NULL AS envid, NULL AS bytes, NULL AS message_id,
  NULL AS subject, NULL AS is_dsn, NULL AS repairs, NULL AS recipients, NULL AS due_at,
  NULL AS position, NULL AS piece, NULL AS crc, NULL AS lease_owner, NULL AS lease_until,
  NULL AS leased_at, NULL AS attempting;

CREATE TEMP TRIGGER accept INSTEAD OF INSERT ON arrival BEGIN
  INSERT INTO body (message, position, bytes, crc)
  SELECT NEW.id, NEW.position, NEW.piece, NEW.crc WHERE NEW.piece IS NOT NULL;

  INSERT INTO message (id, received_at, expires_at, client, client_address, reverse_path,
    body_8bit, smtputf8, ret, envid, bytes, message_id, subject, is_dsn, repairs)
  VALUES (NEW.id, NEW.received_at, NEW.expires_at, NEW.client, NEW.client_address,
    NEW.reverse_path, NEW.body_8bit, NEW.smtputf8, NEW.ret, NEW.envid, NEW.bytes,
    NEW.message_id, NEW.subject, NEW.is_dsn, NEW.repairs);

  INSERT INTO recipient (message, position, address, origin, notify, orcpt, state, lane, held_for)
  SELECT NEW.id, key, json_extract(value, '$[0]'), json_extract(value, '$[1]'),
    json_extract(value, '$[2]'), json_extract(value, '$[3]'), json_extract(value, '$[4]'),
    json_extract(value, '$[5]'), json_extract(value, '$[6]')
  FROM json_each(NEW.recipients);

  INSERT INTO queue (message, lane, due_at, token, lease_owner, lease_until, leased_at, attempting)
  SELECT DISTINCT NEW.id, lane, NEW.due_at, NEW.lease_owner IS NOT NULL, NEW.lease_owner,
    NEW.lease_until, NEW.leased_at, NEW.attempting FROM recipient
  WHERE message = NEW.id AND state = 'queued';
END;

-- How a claim ended; nothing happens where it had been lost. `results` is JSON [[position, state,
-- held_for, code, enhanced, text], ...] of recipients that wait no more, `refusals` [[position,
-- code, enhanced, text], ...] and `moves` [[position, lane], ...] of those that wait on;
-- `attempts` [[at, seconds, address, phase, recipients, code, enhanced, text, outcome, in_doubt],
-- ...], where no `at` is that of the claim.
CREATE TEMP VIEW ending AS SELECT NULL AS message, NULL AS lane, NULL AS token, NULL AS at,
  NULL AS results, NULL AS refusals, NULL AS moves, NULL AS attempts, NULL AS due_at,
  NULL AS counts, NULL AS doubts, NULL AS warned_at;

CREATE TEMP TRIGGER settle INSTEAD OF INSERT ON ending
WHEN EXISTS (SELECT 1 FROM queue WHERE message = NEW.message AND lane = NEW.lane
  AND token = NEW.token AND lease_owner IS NOT NULL)
BEGIN
  -- Dearer as an UPDATE FROM.
  UPDATE recipient SET (state, held_for, reply_code, reply_enhanced, reply_text, settled_at) = (
    SELECT json_extract(value, '$[1]'), json_extract(value, '$[2]'), json_extract(value, '$[3]'),
      json_extract(value, '$[4]'), json_extract(value, '$[5]'), NEW.at
    FROM json_each(NEW.results) WHERE json_extract(value, '$[0]') = position)
  WHERE message = NEW.message
    AND position IN (SELECT json_extract(value, '$[0]') FROM json_each(NEW.results));

  UPDATE recipient SET reply_code = json_extract(r.value, '$[1]'),
    reply_enhanced = json_extract(r.value, '$[2]'), reply_text = json_extract(r.value, '$[3]')
  FROM json_each(NEW.refusals) r
  WHERE message = NEW.message AND position = json_extract(r.value, '$[0]');

  UPDATE recipient SET lane = json_extract(r.value, '$[1]')
  FROM json_each(NEW.moves) r
  WHERE message = NEW.message AND position = json_extract(r.value, '$[0]')
    AND state IN ('queued', 'held');

  INSERT INTO attempt (message, lane, token, at, seconds, address, phase, recipients, reply_code,
    reply_enhanced, reply_text, outcome, in_doubt)
  SELECT q.message, q.lane, q.token, coalesce(json_extract(r.value, '$[0]'), q.leased_at),
    json_extract(r.value, '$[1]'), json_extract(r.value, '$[2]'), json_extract(r.value, '$[3]'),
    json_extract(r.value, '$[4]'), json_extract(r.value, '$[5]'), json_extract(r.value, '$[6]'),
    json_extract(r.value, '$[7]'), json_extract(r.value, '$[8]'), json_extract(r.value, '$[9]')
  FROM queue q JOIN json_each(NEW.attempts) r WHERE q.message = NEW.message AND q.lane = NEW.lane;

  UPDATE queue SET lease_owner = NULL, lease_until = NULL, leased_at = NULL, attempting = NULL,
    due_at = coalesce(NEW.due_at, due_at), tries = tries + NEW.counts
  WHERE message = NEW.message AND lane = NEW.lane AND EXISTS (SELECT 1 FROM recipient
    WHERE message = NEW.message AND lane = NEW.lane AND state = 'queued');

  DELETE FROM queue WHERE message = NEW.message AND lane = NEW.lane AND lease_owner IS NOT NULL;

  INSERT INTO queue (message, lane, due_at)
  SELECT DISTINCT NEW.message, json_extract(value, '$[1]'), coalesce(NEW.due_at, NEW.at)
  FROM json_each(NEW.moves) WHERE true
  ON CONFLICT (message, lane) DO UPDATE SET due_at = min(due_at, excluded.due_at);

  UPDATE message SET in_doubt = in_doubt + NEW.doubts, warned_at = coalesce(NEW.warned_at, warned_at)
  WHERE id = NEW.message AND (NEW.doubts > 0 OR NEW.warned_at IS NOT NULL);

  -- A message that nobody waits for any more loses its body.
  UPDATE message SET finished_at = NEW.at
  WHERE id = NEW.message AND finished_at IS NULL AND NOT EXISTS (SELECT 1 FROM recipient
    WHERE message = NEW.message AND state IN ('queued', 'held'));

  DELETE FROM body WHERE message = NEW.message AND NOT EXISTS (SELECT 1 FROM recipient
    WHERE message = NEW.message AND state IN ('queued', 'held'));
END;
