-- name: add_body
INSERT INTO body (message, position, bytes, crc) VALUES (?, ?, ?, ?)

-- name: accept
INSERT INTO arrival VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: settle
INSERT INTO ending VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: add_to_queue
INSERT INTO queue (message, lane, due_at) VALUES (?, ?, ?)
ON CONFLICT (message, lane) DO UPDATE SET due_at = min(due_at, excluded.due_at)

-- name: due
SELECT q.message, q.tries, q.token, m.received_at, m.expires_at, m.client, m.client_address,
  m.reverse_path, m.body_8bit, m.smtputf8, m.ret, m.envid, m.bytes, m.message_id, m.is_dsn,
  m.in_doubt, m.warned_at,
  (SELECT json_group_array(json_array(position, address, origin, notify, orcpt, state, lane,
    pinned)) FROM (SELECT * FROM recipient WHERE message = m.id ORDER BY position)) AS recipients,
  b.bytes AS body, b.crc, (SELECT json_group_array(position) FROM (SELECT position FROM recipient
    WHERE message = m.id AND lane = q.lane AND state = 'queued' ORDER BY position)) AS queued
FROM queue q JOIN message m ON m.id = q.message
LEFT JOIN body b ON b.message = m.id AND b.position = 0 AND m.bytes <= ? AND m.id < ?
WHERE q.lane = ? AND q.lease_owner IS NULL AND q.due_at <= ?
ORDER BY q.due_at LIMIT ?

-- name: lease
UPDATE queue SET lease_owner = ?, lease_until = ?, leased_at = ?, attempting = ?,
  token = token + 1 WHERE message = ? AND lane = ?

-- name: renew
UPDATE queue SET lease_until = ? WHERE message = ? AND lane = ? AND token = ?

-- name: unclaim
UPDATE queue SET lease_owner = NULL, lease_until = NULL, leased_at = NULL, attempting = NULL
WHERE message = ? AND lane = ? AND token = ?

-- name: claimed_message
SELECT m.id AS message, 0 AS tries, 0 AS token, m.received_at, m.expires_at, m.client,
  m.client_address, m.reverse_path, m.body_8bit, m.smtputf8, m.ret, m.envid, m.bytes, m.message_id, m.is_dsn,
  m.in_doubt, m.warned_at,
  (SELECT json_group_array(json_array(position, address, origin, notify, orcpt, state, lane,
    pinned)) FROM (SELECT * FROM recipient WHERE message = m.id ORDER BY position)) AS recipients,
  b.bytes AS body, b.crc
FROM message m
LEFT JOIN body b ON b.message = m.id AND b.position = 0 AND m.bytes <= ?
WHERE m.id = ?

-- name: move_waiting
UPDATE recipient SET lane = ?1 WHERE message = ?2 AND position = ?3 AND (state = 'held'
  OR state = 'queued' AND NOT EXISTS (SELECT 1 FROM queue q
    WHERE q.message = ?2 AND q.lane = recipient.lane AND q.lease_owner IS NOT NULL))

-- name: queue_moved
INSERT INTO queue (message, lane, due_at, tries)
SELECT r.message, r.lane, min(q.due_at), max(q.tries) FROM recipient r
JOIN queue q ON q.message = r.message
WHERE r.message IN (SELECT value FROM json_each(?)) AND r.state = 'queued'
GROUP BY r.message, r.lane
ON CONFLICT (message, lane) DO NOTHING

-- name: unqueue_moved
DELETE FROM queue WHERE message IN (SELECT value FROM json_each(?)) AND lease_owner IS NULL
  AND NOT EXISTS (SELECT 1 FROM recipient r
    WHERE r.message = queue.message AND r.lane = queue.lane AND r.state = 'queued')

-- name: waiting_in_lane
SELECT r.message, r.position, r.address, r.lane, r.pinned, m.client, m.reverse_path,
  m.in_doubt > 0
FROM message m JOIN recipient r ON r.message = m.id
WHERE m.id IN (SELECT value FROM json_each(?)) AND r.state = 'queued' AND r.lane = ?
ORDER BY m.id

-- name: waiting_anywhere
SELECT r.message, r.position, r.address, r.lane, r.pinned, m.client, m.reverse_path,
  m.in_doubt > 0
FROM message m JOIN recipient r ON r.message = m.id
WHERE m.id IN (SELECT value FROM json_each(?)) AND r.state IN ('queued', 'held')
  AND NOT EXISTS (SELECT 1 FROM queue q WHERE q.message = m.id AND q.lease_owner IS NOT NULL)
ORDER BY m.id

-- name: ids_in_lane
-- The plus keeps it to the primary key: by the lane's index each page would sort the whole lane.
SELECT message FROM queue WHERE message > ? AND +lane = ? AND lease_owner IS NULL
ORDER BY message LIMIT ?

-- name: ids_unfinished
SELECT id FROM message WHERE id > ? AND finished_at IS NULL ORDER BY id LIMIT ?

-- name: is_unfinished
SELECT 1 FROM recipient WHERE message = ? AND state IN ('queued', 'held') LIMIT 1

-- name: leave_queue
DELETE FROM queue WHERE message = ? AND lane = ?

-- name: use
INSERT INTO usage (host, username, minute, messages, recipients, transactions)
VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (host, username, minute) DO UPDATE SET messages = messages + excluded.messages,
  recipients = recipients + excluded.recipients, transactions = transactions + excluded.transactions

-- name: arrive
INSERT INTO account (host, username, arrival_at) VALUES (?, ?, ?)
ON CONFLICT (host, username) DO UPDATE SET arrival_at = excluded.arrival_at

-- name: use_interrupted
INSERT INTO usage (host, username, minute, messages, recipients, transactions)
SELECT host, username, ?, sum(transactions), sum(recipients), sum(transactions) FROM (
  SELECT l.host, l.username, json_array_length(q.attempting) AS recipients,
    (json_array_length(q.attempting) + l.max_recipients - 1) / l.max_recipients AS transactions
  FROM queue q JOIN lane l ON l.name = q.lane
  WHERE q.lease_owner IS NOT NULL AND l.host IS NOT NULL)
WHERE true GROUP BY host, username
ON CONFLICT (host, username, minute) DO UPDATE SET messages = messages + excluded.messages,
  recipients = recipients + excluded.recipients, transactions = transactions + excluded.transactions

-- name: finish
UPDATE message SET finished_at = ? WHERE id = ? AND finished_at IS NULL

-- name: drop_body
DELETE FROM body WHERE message = ?

-- name: queue_rows
SELECT lane, due_at, lease_owner FROM queue WHERE message = ?

-- name: queued_lanes
SELECT DISTINCT lane FROM recipient WHERE message = ? AND state = 'queued'

-- name: interrupted
INSERT INTO attempt (message, lane, token, at, recipients, outcome, in_doubt)
SELECT message, lane, token, leased_at, attempting, 'interrupted', 1 FROM queue
WHERE lease_owner IS NOT NULL AND leased_at IS NOT NULL

-- name: doubt_interrupted
UPDATE message SET in_doubt = in_doubt + 1
WHERE id IN (SELECT message FROM queue WHERE lease_owner IS NOT NULL AND leased_at IS NOT NULL)

-- name: void_leases
UPDATE queue SET lease_owner = NULL, lease_until = NULL, leased_at = NULL, attempting = NULL
WHERE lease_owner IS NOT NULL

-- name: sweep_bodies
DELETE FROM body WHERE message NOT IN (SELECT id FROM message)

-- name: purgeable
SELECT id FROM message WHERE finished_at < ? ORDER BY finished_at LIMIT ?

-- name: next_due
SELECT min(due_at) FROM queue WHERE lane = ? AND lease_owner IS NULL

-- name: hasten
UPDATE queue SET due_at = ?1 WHERE due_at > ?1 AND lease_owner IS NULL

-- name: lanes_waiting
SELECT DISTINCT lane FROM queue

-- name: body_piece
SELECT bytes, crc FROM body WHERE message = ? AND position = ?

-- name: view
SELECT id, received_at, client, client_address, reverse_path, bytes, subject, message_id, repairs,
  in_doubt, finished_at FROM message m

-- name: view_recipients
SELECT position, address, state, origin, lane, held_for, reply_code, reply_enhanced, reply_text,
  pinned FROM recipient WHERE message = ? ORDER BY position

-- name: view_queue
SELECT q.due_at, q.lease_owner, l.blocked_by, l.blocked_until FROM queue q
LEFT JOIN lane l ON l.name = q.lane WHERE q.message = ? ORDER BY q.due_at

-- name: view_attempts
SELECT at, seconds, lane, address, phase, recipients, reply_code, reply_enhanced, reply_text,
  outcome, in_doubt FROM attempt WHERE message = ?1
UNION ALL
SELECT leased_at, NULL, lane, NULL, NULL, attempting, NULL, NULL, NULL, NULL, 0
FROM queue WHERE message = ?1 AND lease_owner IS NOT NULL

-- name: last_delivered
SELECT id, at, address FROM attempt
WHERE id > (SELECT max(id) FROM attempt) - 100000 AND lane = ? AND outcome = 'delivered'
ORDER BY id DESC LIMIT 1

-- name: failures_after
SELECT at, outcome, phase, reply_code, reply_enhanced, reply_text, address FROM attempt
WHERE id > max(?, (SELECT max(id) FROM attempt) - 100000) AND lane = ?
  AND outcome IN ('deferred', 'held', 'failed')
ORDER BY id LIMIT 20

-- name: hold_recipients
UPDATE recipient SET state = 'held', held_for = 'operator' WHERE message = ? AND state = 'queued'

-- name: hold_for
UPDATE recipient SET held_for = ? WHERE message = ? AND state = 'held'

-- name: release_recipients
UPDATE recipient SET state = 'queued', held_for = NULL
WHERE message = ? AND state = 'held' AND coalesce(held_for = ?, 1)

-- name: delete_recipients
UPDATE recipient SET state = 'deleted', held_for = NULL, settled_at = ?
WHERE message = ? AND state IN ('queued', 'held')

-- name: pin_recipients
UPDATE recipient SET lane = ?, pinned = ? WHERE message = ? AND state IN ('queued', 'held')

-- name: fail_held
UPDATE recipient SET state = 'failed', held_for = NULL, reply_code = ?, reply_enhanced = ?,
  reply_text = ?, settled_at = ? WHERE message = ? AND state = 'held'

-- name: make_due
UPDATE queue SET due_at = min(due_at, ?) WHERE message = ?

-- name: exists
SELECT 1 FROM message WHERE id = ?

-- name: held_ids
SELECT DISTINCT r.message FROM recipient r JOIN message m ON m.id = r.message
WHERE r.state = 'held' AND r.held_for = ? AND (? IS NULL OR m.client_address = ?) ORDER BY r.message

-- name: unfinished_ids
SELECT id FROM message WHERE finished_at IS NULL ORDER BY id

-- name: count_by_lane
SELECT lane, count(*) FROM queue GROUP BY lane

-- name: count_held
SELECT count(DISTINCT message) FROM recipient WHERE state = 'held'

-- name: oldest_queued
SELECT min(m.received_at) FROM message m WHERE m.finished_at IS NULL
  AND EXISTS (SELECT 1 FROM queue q WHERE q.message = m.id)

-- name: expired
SELECT q.message, q.lane FROM queue q JOIN message m ON m.id = q.message
JOIN lane l ON l.name = q.lane
WHERE q.lease_owner IS NULL AND m.expires_at <= ? AND l.blocked_by IS NOT NULL
  AND (l.blocked_until IS NULL OR l.blocked_until > ?) LIMIT 1000

-- name: hold_for_lifetime
UPDATE recipient SET state = 'held', held_for = 'lifetime'
WHERE message = ? AND lane = ? AND state = 'queued'
