-- name: window_unfinished
SELECT id FROM message WHERE finished_at IS NULL AND id < ? ORDER BY id DESC LIMIT 1 OFFSET ?

-- name: window
SELECT id FROM message WHERE id < ? ORDER BY id DESC LIMIT 1 OFFSET ?

-- name: found
SELECT m.id, m.received_at, m.finished_at, m.client, m.reverse_path, m.subject, m.bytes,
  m.in_doubt > 0 FROM message m

-- name: states
SELECT state, count(*), sum(held_for = 'sandbox') FROM recipient WHERE message = ? GROUP BY state

-- name: recipients
-- Those that were sought come first.
SELECT address FROM recipient WHERE message = ?
ORDER BY address LIKE ? ESCAPE '\' DESC, position LIMIT ?

-- name: last_reply
SELECT reply_code, reply_enhanced, reply_text FROM attempt
WHERE message = ? AND reply_code IS NOT NULL ORDER BY id DESC LIMIT 1

-- name: recipient_reply
-- Of what failed without an attempt.
SELECT reply_code, reply_enhanced, reply_text FROM recipient
WHERE message = ? AND reply_code IS NOT NULL ORDER BY position LIMIT 1
