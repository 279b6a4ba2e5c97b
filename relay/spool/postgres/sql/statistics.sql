-- name: uncounted
SELECT m.id, m.finished_at FROM message m
WHERE m.finished_at >= $1 AND NOT EXISTS (SELECT 1 FROM counted c WHERE c.message = m.id)
ORDER BY m.finished_at LIMIT $2

-- name: count_accepted
INSERT INTO hour AS h (hour, client, smarthost, accepted, bytes)
SELECT m.received_at / 3600000000, m.client, coalesce((SELECT r.lane FROM recipient r
  WHERE r.message = m.id ORDER BY r.position LIMIT 1), '') AS lane, count(*), sum(m.bytes)::bigint
FROM message m
WHERE m.id = ANY($1::bigint[]) AND NOT m.is_dsn
  AND NOT EXISTS (SELECT 1 FROM counted c WHERE c.message = m.id)
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
ON CONFLICT (hour, client, smarthost) DO UPDATE SET accepted = h.accepted + excluded.accepted,
  bytes = h.bytes + excluded.bytes

-- name: count_finished
INSERT INTO hour AS h (hour, client, smarthost, delivered, failed)
SELECT hour, client, lane, count(*) FILTER (WHERE delivered AND NOT failed), count(*) FILTER (WHERE failed)
FROM (
  SELECT m.finished_at / 3600000000 AS hour, m.client, coalesce((SELECT r.lane FROM recipient r
      WHERE r.message = m.id ORDER BY r.position LIMIT 1), '') AS lane,
    EXISTS (SELECT 1 FROM recipient r WHERE r.message = m.id AND r.state = 'failed') AS failed,
    EXISTS (SELECT 1 FROM recipient r WHERE r.message = m.id AND r.state = 'delivered') AS delivered
  FROM message m
  WHERE m.id = ANY($1::bigint[]) AND NOT m.is_dsn AND m.finished_at IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM counted c WHERE c.message = m.id)) AS f
WHERE delivered OR failed GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
ON CONFLICT (hour, client, smarthost) DO UPDATE SET delivered = h.delivered + excluded.delivered,
  failed = h.failed + excluded.failed

-- name: count_seen
INSERT INTO client_seen AS s (client, last_at)
SELECT m.client, max(m.received_at) FROM message m
WHERE m.id = ANY($1::bigint[]) AND NOT m.is_dsn GROUP BY 1 ORDER BY 1
ON CONFLICT (client) DO UPDATE SET last_at = greatest(s.last_at, excluded.last_at)

-- name: mark_counted
INSERT INTO counted (message) SELECT unnest($1::bigint[]) ON CONFLICT DO NOTHING

-- name: note_hour
INSERT INTO hour AS h (hour, client, smarthost, tls, refused) VALUES ($1, $2, '', $3, $4)
ON CONFLICT (hour, client, smarthost) DO UPDATE SET tls = h.tls + excluded.tls,
  refused = h.refused + excluded.refused

-- name: note_seen
INSERT INTO client_seen AS s (client, last_at, tls) VALUES ($1, $2, $3)
ON CONFLICT (client) DO UPDATE SET tls = excluded.tls, last_at = greatest(s.last_at, excluded.last_at)

-- name: forget_hours
DELETE FROM hour WHERE hour < $1

-- name: hours
SELECT hour, client, smarthost, accepted, delivered, failed, bytes, tls, refused FROM hour
WHERE hour >= $1

-- name: unfinished
-- Of what has not left yet: it is counted by nobody else.
SELECT m.received_at / 3600000000, m.client, coalesce((SELECT r.lane FROM recipient r
  WHERE r.message = m.id ORDER BY r.position LIMIT 1), '') AS lane, count(*), sum(m.bytes)::bigint,
  max(m.received_at)
FROM message m WHERE m.finished_at IS NULL AND NOT m.is_dsn GROUP BY 1, 2, 3

-- name: fresh
-- What the next roll-up will count.
SELECT m.received_at, m.finished_at, m.client, coalesce((SELECT r.lane FROM recipient r
    WHERE r.message = m.id ORDER BY r.position LIMIT 1), '') AS lane, m.bytes,
  EXISTS (SELECT 1 FROM recipient r WHERE r.message = m.id AND r.state = 'failed'),
  EXISTS (SELECT 1 FROM recipient r WHERE r.message = m.id AND r.state = 'delivered')
FROM message m
WHERE m.finished_at >= $1 AND NOT m.is_dsn
  AND NOT EXISTS (SELECT 1 FROM counted c WHERE c.message = m.id)

-- name: seen
SELECT client, last_at, tls FROM client_seen
