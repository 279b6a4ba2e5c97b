-- name: tables
SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'

-- name: known
CREATE TEMP TABLE known (message INTEGER PRIMARY KEY)

-- name: note
INSERT OR IGNORE INTO known (message) VALUES (?)

-- name: kept
SELECT count(*) FROM message WHERE finished_at IS NULL

-- name: lost
-- Seen in some table, and without its sender or without anybody to send it to.
SELECT known.message FROM known LEFT JOIN message m ON m.id = known.message
WHERE (m.id IS NULL OR m.finished_at IS NULL)
  AND NOT EXISTS (SELECT 1 FROM recipient r WHERE r.message = known.message
    AND (m.id IS NOT NULL OR r.state NOT IN ('queued', 'held')))

-- name: forget_lost
DELETE FROM message WHERE NOT EXISTS (SELECT 1 FROM recipient r WHERE r.message = message.id)

-- name: forget_strays
DELETE FROM recipient WHERE message NOT IN (SELECT id FROM message)

-- name: forget_bodies
DELETE FROM body WHERE message NOT IN (SELECT id FROM message WHERE finished_at IS NULL)

-- name: without_bytes
SELECT m.id FROM message m LEFT JOIN body b ON b.message = m.id
WHERE m.finished_at IS NULL
GROUP BY m.id
HAVING total(length(b.bytes)) <> m.bytes OR max(b.position) + 1 <> count(b.position)

-- name: hold
UPDATE recipient SET state = 'held', held_for = 'poison', reply_code = 451,
  reply_enhanced = '4.3.0', reply_text = 'its bytes stood in a damaged part of the spool; ask the sender for it again'
WHERE message = ? AND state IN ('queued', 'held')

-- name: unqueue
DELETE FROM queue WHERE NOT EXISTS (SELECT 1 FROM recipient r
  WHERE r.message = queue.message AND r.lane = queue.lane AND r.state = 'queued')

-- name: queue
INSERT INTO queue (message, lane, due_at)
SELECT DISTINCT message, lane, ? FROM recipient WHERE state = 'queued'
ON CONFLICT (message, lane) DO NOTHING

-- name: doubt
UPDATE message SET in_doubt = in_doubt + 1 WHERE finished_at IS NULL
