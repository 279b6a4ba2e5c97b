-- name: grant
SELECT sealed FROM token WHERE host = $1 AND username = $2

-- name: keep
INSERT INTO token (host, username, sealed, kept_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (host, username) DO UPDATE SET sealed = excluded.sealed, kept_at = excluded.kept_at

-- name: forget
DELETE FROM token WHERE host = $1 AND username = $2

-- name: salt
SELECT value FROM setting WHERE name = 'token_salt'

-- name: set_salt
INSERT INTO setting (name, value) VALUES ('token_salt', $1) ON CONFLICT (name) DO NOTHING
