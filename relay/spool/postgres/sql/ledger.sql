-- name: lanes
SELECT name, blocked_by, blocked_until, failures, since, cause, reply_code, reply_enhanced,
  reply_text, size_bytes FROM lane ORDER BY name COLLATE "C"

-- name: block
INSERT INTO lane (name, blocked_by, blocked_until, failures, since, cause, reply_code,
  reply_enhanced, reply_text) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (name) DO UPDATE SET blocked_by = excluded.blocked_by,
  blocked_until = excluded.blocked_until, failures = excluded.failures, since = excluded.since,
  cause = excluded.cause, reply_code = excluded.reply_code,
  reply_enhanced = excluded.reply_enhanced, reply_text = excluded.reply_text

-- name: unblock
UPDATE lane SET blocked_by = NULL, blocked_until = NULL, failures = 0, since = NULL, cause = NULL,
  reply_code = NULL, reply_enhanced = NULL, reply_text = NULL WHERE name = $1

-- name: learn_size
INSERT INTO lane (name, size_bytes) VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET size_bytes = excluded.size_bytes

-- name: pause
INSERT INTO account (host, username, paused_at, paused_until, refusals, secret_mark, cause,
  reply_code, reply_enhanced, reply_text) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (host, username) DO UPDATE SET paused_at = excluded.paused_at,
  paused_until = excluded.paused_until, refusals = excluded.refusals,
  secret_mark = excluded.secret_mark, cause = excluded.cause, reply_code = excluded.reply_code,
  reply_enhanced = excluded.reply_enhanced, reply_text = excluded.reply_text

-- name: resume
UPDATE account SET paused_at = NULL, paused_until = NULL, refusals = 0, secret_mark = NULL,
  cause = NULL, reply_code = NULL, reply_enhanced = NULL, reply_text = NULL
WHERE host = $1 AND username = $2 AND paused_at IS NOT NULL

-- name: paused
SELECT host, username, paused_at, paused_until, refusals, secret_mark, cause, reply_code,
  reply_enhanced, reply_text FROM account WHERE paused_at IS NOT NULL ORDER BY host COLLATE "C", username COLLATE "C"

-- name: paces
SELECT host, username, arrival_at, learned FROM account
WHERE arrival_at IS NOT NULL OR learned IS NOT NULL

-- name: learn
INSERT INTO account (host, username, learned) VALUES ($1, $2, $3)
ON CONFLICT (host, username) DO UPDATE SET learned = excluded.learned

-- name: usage
SELECT host, username, minute, sum(messages)::bigint, sum(recipients)::bigint,
  sum(transactions)::bigint FROM usage WHERE minute >= $1
GROUP BY host, username, minute ORDER BY minute, host, username

-- name: forget_usage
DELETE FROM usage WHERE minute < $1

-- name: lane_account
INSERT INTO lane (name, host, username, max_recipients) VALUES ($1, $2, $3, $4)
ON CONFLICT (name) DO UPDATE SET host = excluded.host, username = excluded.username,
  max_recipients = excluded.max_recipients

-- name: note_refused
INSERT INTO refused AS r (address, count, first_at, last_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (address) DO UPDATE SET count = r.count + excluded.count, last_at = greatest(r.last_at, excluded.last_at)

-- name: refused
SELECT address, count, first_at, last_at FROM refused ORDER BY last_at DESC LIMIT 1000

-- name: forget_refused
DELETE FROM refused WHERE last_at < $1

-- name: no_longer_refused
DELETE FROM refused WHERE address = $1

-- name: adopt
INSERT INTO adopted (address, name, adopted_at) VALUES ($1, $2, $3)
ON CONFLICT (address) DO UPDATE SET name = excluded.name

-- name: disown
DELETE FROM adopted WHERE address = $1

-- name: adopted
SELECT address, name, adopted_at FROM adopted ORDER BY adopted_at

-- name: adopt_sender
INSERT INTO sender_rule (smarthost, sender, address, adopted_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (smarthost, sender) DO UPDATE SET address = excluded.address,
  adopted_at = excluded.adopted_at

-- name: disown_sender
DELETE FROM sender_rule WHERE smarthost = $1 AND sender = $2

-- name: sender_rules
SELECT smarthost, sender, address, adopted_at FROM sender_rule ORDER BY smarthost COLLATE "C", sender COLLATE "C"

-- name: setting
SELECT value FROM setting WHERE name = $1

-- name: set_setting
INSERT INTO setting (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value

-- name: forget_setting
DELETE FROM setting WHERE name = $1
