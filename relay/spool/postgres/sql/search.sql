-- name: window_unfinished
SELECT id FROM message WHERE finished_at IS NULL AND id < $1 ORDER BY id DESC LIMIT 1 OFFSET $2

-- name: window
SELECT id FROM message WHERE id < $1 ORDER BY id DESC LIMIT 1 OFFSET $2

-- name: found
SELECT m.id, m.received_at, m.finished_at, m.client, m.reverse_path, m.subject, m.bytes,
  m.in_doubt > 0 FROM message m

-- name: states
SELECT message, state, count(*), count(*) FILTER (WHERE held_for = 'sandbox') FROM recipient
WHERE message = ANY($1::bigint[]) GROUP BY message, state

-- name: recipients
-- Those that were sought come first.
SELECT message, address FROM (SELECT message, address, row_number() OVER (PARTITION BY message
    ORDER BY address ILIKE $2 ESCAPE '\' DESC, position) AS place
  FROM recipient WHERE message = ANY($1::bigint[])) AS r
WHERE place <= $3 ORDER BY message, place

-- name: last_replies
SELECT DISTINCT ON (message) message, reply_code, reply_enhanced, reply_text FROM attempt
WHERE message = ANY($1::bigint[]) AND reply_code IS NOT NULL ORDER BY message, id DESC

-- name: recipient_replies
-- Of what failed without an attempt.
SELECT DISTINCT ON (message) message, reply_code, reply_enhanced, reply_text FROM recipient
WHERE message = ANY($1::bigint[]) AND reply_code IS NOT NULL ORDER BY message, position
