-- name: unfinished
SELECT count(*) FROM message WHERE finished_at IS NULL

-- name: tokens
SELECT count(*) FROM sqlite_schema WHERE name = 'token'

-- name: any_token
SELECT 1 FROM token LIMIT 1

-- name: doubt
UPDATE message SET in_doubt = in_doubt + 1 WHERE finished_at IS NULL

-- name: without_recipients
SELECT id FROM message WHERE NOT EXISTS (SELECT 1 FROM recipient r WHERE r.message = message.id)
LIMIT ?

-- name: without_bytes
SELECT m.id FROM message m LEFT JOIN body b ON b.message = m.id
WHERE m.finished_at IS NULL
GROUP BY m.id HAVING total(length(b.bytes)) <> m.bytes LIMIT ?
