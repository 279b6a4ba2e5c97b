-- name: add_body
INSERT INTO body (message, position, bytes, crc) VALUES ($1, $2, $3, $4)

-- name: body_piece
SELECT bytes, crc FROM body WHERE message = $1 AND position = $2

-- name: drop_unaccepted_body
DELETE FROM body WHERE message = $1 AND NOT EXISTS (SELECT 1 FROM message m WHERE m.id = $1)

-- name: sweep_bodies
-- Of an interrupted DATA: ids begin with the time.
DELETE FROM body b WHERE b.message < $1 AND NOT EXISTS (SELECT 1 FROM message m WHERE m.id = b.message)

-- name: read
SELECT m.id, '' AS lane, 0 AS tries, 0 AS token, m.received_at, m.expires_at, m.client,
  m.client_address, m.reverse_path, m.body_8bit, m.smtputf8, m.ret, m.envid, m.bytes, m.message_id,
  m.is_dsn, m.in_doubt, m.warned_at,
  (SELECT json_agg(json_build_array(r.position, r.address, r.origin, r.notify, r.orcpt, r.state,
    r.lane, r.pinned) ORDER BY r.position) FROM recipient r WHERE r.message = m.id)::text,
  b.bytes, b.crc
FROM message m LEFT JOIN body b ON b.message = m.id AND b.position = 0 AND m.bytes <= $2
WHERE m.id = $1

-- name: unclaim
UPDATE queue SET lease_owner = NULL, lease_until = NULL, leased_at = NULL, attempting = NULL,
  token = token + 1
WHERE message = $1 AND lane = $2 AND token = $3 AND lease_owner = $4

-- name: renew
UPDATE queue q SET lease_until = relay_now() + $3
FROM unnest($1::bigint[], $2::text[]) AS mine (message, lane)
WHERE q.message = mine.message AND q.lane = mine.lane AND q.lease_owner = $4

-- name: give_back
-- What this node has leased and nobody in it works on: the answer to the claim was lost.
UPDATE queue q SET lease_owner = NULL, lease_until = NULL, leased_at = NULL, attempting = NULL,
  token = q.token + 1
WHERE q.lease_owner = $3 AND NOT EXISTS (SELECT 1
  FROM unnest($1::bigint[], $2::text[]) AS mine (message, lane)
  WHERE q.message = mine.message AND q.lane = mine.lane)
RETURNING q.lane

-- name: expire
SELECT relay_expire($1, $2)

-- name: hasten
UPDATE queue SET due_at = $1 WHERE due_at > $1 AND lease_owner IS NULL

-- name: next_due
SELECT min(due_at) FROM queue WHERE lane = $1 AND lease_owner IS NULL

-- name: lanes_waiting
SELECT DISTINCT lane FROM queue

-- name: held_ids
SELECT DISTINCT r.message FROM recipient r JOIN message m ON m.id = r.message
WHERE r.state = 'held' AND r.held_for = $1 AND ($2::text IS NULL OR m.client_address = $2)
ORDER BY r.message

-- name: unfinished_ids
SELECT id FROM message WHERE finished_at IS NULL ORDER BY id

-- name: lock
SELECT id FROM message WHERE id = ANY($1::bigint[]) ORDER BY id FOR NO KEY UPDATE

-- name: lock_queue
SELECT 1 FROM queue WHERE message = ANY($1::bigint[]) ORDER BY message, lane FOR UPDATE

-- name: make_due
UPDATE queue SET due_at = least(due_at, $2) WHERE message = ANY($1::bigint[]) RETURNING message

-- name: hold
UPDATE recipient SET state = 'held', held_for = 'operator'
WHERE message = ANY($1::bigint[]) AND state = 'queued' RETURNING message

-- name: hold_for
UPDATE recipient SET held_for = $2 WHERE message = ANY($1::bigint[]) AND state = 'held'

-- name: release
UPDATE recipient SET state = 'queued', held_for = NULL
WHERE message = ANY($1::bigint[]) AND state = 'held' AND coalesce(held_for = $2, true)
RETURNING message

-- name: delete
UPDATE recipient SET state = 'deleted', held_for = NULL, settled_at = $2
WHERE message = ANY($1::bigint[]) AND state IN ('queued', 'held') RETURNING message

-- name: pin
UPDATE recipient SET lane = $2, pinned = $2
WHERE message = ANY($1::bigint[]) AND state IN ('queued', 'held') RETURNING message

-- name: queue_missing
-- The earliest due time of the rows that are there, so that moving a message neither hurries nor delays it.
INSERT INTO queue (message, lane, due_at)
SELECT DISTINCT r.message, r.lane, coalesce((SELECT min(q.due_at) FROM queue q
  WHERE q.message = r.message), $2)
FROM recipient r WHERE r.message = ANY($1::bigint[]) AND r.state = 'queued'
ON CONFLICT (message, lane) DO NOTHING

-- name: unqueue
-- A leased row stays: its worker settles it.
DELETE FROM queue q WHERE q.message = ANY($1::bigint[]) AND q.lease_owner IS NULL
  AND NOT EXISTS (SELECT 1 FROM recipient r
    WHERE r.message = q.message AND r.lane = q.lane AND r.state = 'queued')

-- name: finish
UPDATE message m SET finished_at = $2 WHERE m.id = ANY($1::bigint[]) AND m.finished_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM recipient r
    WHERE r.message = m.id AND r.state IN ('queued', 'held'))
RETURNING m.id

-- name: drop_bodies
DELETE FROM body WHERE message = ANY($1::bigint[])

-- name: move_waiting
UPDATE recipient r SET lane = v.lane
FROM unnest($1::bigint[], $2::integer[], $3::text[]) AS v (message, position, lane)
WHERE r.message = v.message AND r.position = v.position AND (r.state = 'held'
  OR r.state = 'queued' AND NOT EXISTS (SELECT 1 FROM queue q
    WHERE q.message = r.message AND q.lane = r.lane AND q.lease_owner IS NOT NULL))

-- name: queue_moved
INSERT INTO queue (message, lane, due_at, tries)
SELECT r.message, r.lane, min(q.due_at), max(q.tries) FROM recipient r
JOIN queue q ON q.message = r.message
WHERE r.message = ANY($1::bigint[]) AND r.state = 'queued'
GROUP BY r.message, r.lane
ON CONFLICT (message, lane) DO NOTHING

-- name: waiting_in_lane
SELECT r.message, r.position, r.address, r.lane, r.pinned, m.client, m.reverse_path,
  m.in_doubt > 0
FROM message m JOIN recipient r ON r.message = m.id
WHERE m.id = ANY($1::bigint[]) AND r.state = 'queued' AND r.lane = $2
ORDER BY m.id, r.position

-- name: waiting_anywhere
SELECT r.message, r.position, r.address, r.lane, r.pinned, m.client, m.reverse_path,
  m.in_doubt > 0
FROM message m JOIN recipient r ON r.message = m.id
WHERE m.id = ANY($1::bigint[]) AND r.state IN ('queued', 'held')
  AND NOT EXISTS (SELECT 1 FROM queue q WHERE q.message = m.id AND q.lease_owner IS NOT NULL)
ORDER BY m.id, r.position

-- name: ids_in_lane
SELECT message FROM queue WHERE message > $1 AND lane = $2 AND lease_owner IS NULL
ORDER BY message LIMIT $3

-- name: ids_unfinished
SELECT id FROM message WHERE id > $1 AND finished_at IS NULL ORDER BY id LIMIT $2

-- name: expired
SELECT q.message FROM queue q JOIN message m ON m.id = q.message JOIN lane l ON l.name = q.lane
WHERE q.lease_owner IS NULL AND m.expires_at <= $1 AND l.blocked_by IS NOT NULL
  AND (l.blocked_until IS NULL OR l.blocked_until > $1)
ORDER BY q.message LIMIT 1000

-- name: hold_expired
UPDATE recipient r SET state = 'held', held_for = 'lifetime'
FROM queue q JOIN lane l ON l.name = q.lane
WHERE q.message = ANY($1::bigint[]) AND q.lease_owner IS NULL AND l.blocked_by IS NOT NULL
  AND (l.blocked_until IS NULL OR l.blocked_until > $2)
  AND r.message = q.message AND r.lane = q.lane AND r.state = 'queued'
RETURNING r.message

-- name: fail_held
UPDATE recipient SET state = 'failed', held_for = NULL, reply_code = $2, reply_enhanced = $3,
  reply_text = $4, settled_at = $5 WHERE message = $1 AND state = 'held'

-- name: accept
SELECT relay_accept($1, $2)

-- name: purgeable
SELECT id FROM message WHERE finished_at < $1 ORDER BY finished_at LIMIT $2
FOR UPDATE SKIP LOCKED

-- name: forget_recipients
DELETE FROM recipient WHERE message = ANY($1::bigint[])

-- name: forget_attempts
DELETE FROM attempt WHERE message = ANY($1::bigint[])

-- name: forget_counted
DELETE FROM counted WHERE message = ANY($1::bigint[])

-- name: forget_queue
DELETE FROM queue WHERE message = ANY($1::bigint[])

-- name: forget_messages
DELETE FROM message WHERE id = ANY($1::bigint[])

-- name: view
SELECT id, received_at, client, client_address, reverse_path, bytes, subject, message_id, repairs,
  in_doubt, finished_at FROM message m

-- name: view_recipients
SELECT message, address, state, origin, lane, held_for, reply_code, reply_enhanced,
  reply_text, pinned FROM recipient WHERE message = ANY($1::bigint[]) ORDER BY message, position

-- name: view_queue
SELECT q.message, q.due_at, q.lease_owner, l.blocked_by, l.blocked_until FROM queue q
LEFT JOIN lane l ON l.name = q.lane WHERE q.message = ANY($1::bigint[]) ORDER BY q.due_at

-- name: view_attempts
SELECT at, seconds, lane, address, phase, recipients, reply_code, reply_enhanced, reply_text,
  outcome, in_doubt FROM (
    SELECT id, at, seconds, lane, address, phase, recipients, reply_code, reply_enhanced,
      reply_text, outcome, in_doubt FROM attempt WHERE message = $1
    UNION ALL
    SELECT NULL, leased_at, NULL, lane, NULL, NULL, attempting, NULL, NULL, NULL, NULL, false
    FROM queue WHERE message = $1 AND lease_owner IS NOT NULL) AS every
ORDER BY id NULLS LAST

-- name: last_delivered
SELECT id, at, address FROM attempt
WHERE id > (SELECT max(id) FROM attempt) - 100000 AND lane = $1 AND outcome = 'delivered'
ORDER BY id DESC LIMIT 1

-- name: failures_after
SELECT at, outcome, phase, reply_code, reply_enhanced, reply_text, address FROM attempt
WHERE id > greatest($1, (SELECT max(id) FROM attempt) - 100000) AND lane = $2
  AND outcome IN ('deferred', 'held', 'failed')
ORDER BY id LIMIT 20

-- name: count_by_lane
SELECT lane, count(*) FROM queue GROUP BY lane ORDER BY lane

-- name: count_held
SELECT count(DISTINCT message) FROM recipient WHERE state = 'held'

-- name: oldest_queued
SELECT min(m.received_at) FROM message m WHERE m.finished_at IS NULL
  AND EXISTS (SELECT 1 FROM queue q WHERE q.message = m.id)
