-- name: lanes
SELECT name, blocked_by, blocked_until, failures, since, cause, reply_code, reply_enhanced,
  reply_text, size_bytes FROM lane ORDER BY name

-- name: block
INSERT INTO lane (name, blocked_by, blocked_until, failures, since, cause, reply_code,
  reply_enhanced, reply_text) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET blocked_by = excluded.blocked_by,
  blocked_until = excluded.blocked_until, failures = excluded.failures, since = excluded.since,
  cause = excluded.cause, reply_code = excluded.reply_code,
  reply_enhanced = excluded.reply_enhanced, reply_text = excluded.reply_text

-- name: unblock
UPDATE lane SET blocked_by = NULL, blocked_until = NULL, failures = 0, since = NULL, cause = NULL,
  reply_code = NULL, reply_enhanced = NULL, reply_text = NULL WHERE name = ?

-- name: learn_size
INSERT INTO lane (name, size_bytes) VALUES (?, ?)
ON CONFLICT (name) DO UPDATE SET size_bytes = excluded.size_bytes

-- name: pause
INSERT INTO account (host, username, paused_at, paused_until, refusals, secret_mark, cause,
  reply_code, reply_enhanced, reply_text) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (host, username) DO UPDATE SET paused_at = excluded.paused_at,
  paused_until = excluded.paused_until, refusals = excluded.refusals,
  secret_mark = excluded.secret_mark, cause = excluded.cause, reply_code = excluded.reply_code,
  reply_enhanced = excluded.reply_enhanced, reply_text = excluded.reply_text

-- name: resume
UPDATE account SET paused_at = NULL, paused_until = NULL, refusals = 0, secret_mark = NULL,
  cause = NULL, reply_code = NULL, reply_enhanced = NULL, reply_text = NULL
WHERE host = ? AND username = ? AND paused_at IS NOT NULL

-- name: paused
SELECT host, username, paused_at, paused_until, refusals, secret_mark, cause, reply_code,
  reply_enhanced, reply_text FROM account WHERE paused_at IS NOT NULL ORDER BY host, username

-- name: paces
SELECT host, username, arrival_at, learned FROM account
WHERE arrival_at IS NOT NULL OR learned IS NOT NULL

-- name: learn
INSERT INTO account (host, username, learned) VALUES (?, ?, ?)
ON CONFLICT (host, username) DO UPDATE SET learned = excluded.learned

-- name: usage
SELECT host, username, minute, messages, recipients, transactions FROM usage WHERE minute >= ?
ORDER BY minute

-- name: forget_usage
DELETE FROM usage WHERE minute < ?

-- name: lane_account
INSERT INTO lane (name, host, username, max_recipients) VALUES (?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET host = excluded.host, username = excluded.username,
  max_recipients = excluded.max_recipients

-- name: note_refused
INSERT INTO refused (address, count, first_at, last_at) VALUES (?, ?, ?, ?)
ON CONFLICT (address) DO UPDATE SET count = count + excluded.count, last_at = excluded.last_at

-- name: refused
SELECT address, count, first_at, last_at FROM refused ORDER BY last_at DESC LIMIT 1000

-- name: forget_refused
DELETE FROM refused WHERE last_at < ?

-- name: no_longer_refused
DELETE FROM refused WHERE address = ?

-- name: adopt
INSERT INTO adopted (address, name, adopted_at) VALUES (?, ?, ?)
ON CONFLICT (address) DO UPDATE SET name = excluded.name

-- name: disown
DELETE FROM adopted WHERE address = ?

-- name: adopted
SELECT address, name, adopted_at FROM adopted ORDER BY adopted_at

-- name: adopt_sender
INSERT INTO sender_rule (smarthost, sender, address, adopted_at) VALUES (?, ?, ?, ?)
ON CONFLICT (smarthost, sender) DO UPDATE SET address = excluded.address,
  adopted_at = excluded.adopted_at

-- name: disown_sender
DELETE FROM sender_rule WHERE smarthost = ? AND sender = ?

-- name: sender_rules
SELECT smarthost, sender, address, adopted_at FROM sender_rule ORDER BY smarthost, sender

-- name: setting
SELECT value FROM setting WHERE name = ?

-- name: set_setting
INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value

-- name: forget_setting
DELETE FROM setting WHERE name = ?
