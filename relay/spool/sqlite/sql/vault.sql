-- name: grant
SELECT sealed FROM token WHERE host = ? AND username = ?

-- name: keep
INSERT INTO token (host, username, sealed, kept_at) VALUES (?, ?, ?, ?)
ON CONFLICT (host, username) DO UPDATE SET sealed = excluded.sealed, kept_at = excluded.kept_at

-- name: forget
DELETE FROM token WHERE host = ? AND username = ?

-- name: any
SELECT 1 FROM token LIMIT 1

-- name: salt
SELECT value FROM setting WHERE name = 'token_salt'

-- name: set_salt
INSERT INTO setting (name, value) VALUES ('token_salt', ?) ON CONFLICT (name) DO NOTHING
