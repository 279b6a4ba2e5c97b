-- name: connect
SELECT * FROM relay_connect($1, $2, $3, $4, $5)

-- name: hold
SELECT relay_lock_share($1, $2), relay_hold($1, $2, $3, $4)

-- name: begin
SELECT * FROM relay_begin($1, $2, $3, $4, $5, $6, $7, $8, $9)

-- name: widen
SELECT relay_widen($1, $2, $3, $4, $5)

-- name: end
SELECT relay_end($1, $2, $3, $4)

-- name: recent
SELECT coalesce(sum(transactions * CASE WHEN minute = relay_now() / 60000000 THEN 1
  ELSE 1 - (relay_now() % 60000000) / 60000000.0 END), 0)::integer
FROM usage WHERE host = $1 AND username = $2 AND node <> $3
  AND minute >= relay_now() / 60000000 - 1

-- name: take_turn
SELECT relay_take_turn($1, $2, $3)

-- name: give_turn
DELETE FROM turn WHERE name = $1 AND node = $2

-- name: beat
SELECT relay_beat($1, $2, $3)

-- name: bury
SELECT relay_bury()

-- name: leave
SELECT relay_leave($1)

-- name: changes
SELECT topic, version FROM change

-- name: nodes
SELECT n.id, n.host, n.boot_id, n.pid, n.version, n.configuration, n.started_at, n.seen_at,
  NOT relay_lives(n.id) AS gone,
  coalesce(q.claims, 0)::integer AS claims, coalesce(s.connections, 0)::integer AS connections,
  coalesce(u.messages, 0)::integer AS messages_per_minute
FROM node n
LEFT JOIN (SELECT lease_owner, count(*) AS claims FROM queue WHERE lease_owner IS NOT NULL
  GROUP BY lease_owner) AS q ON q.lease_owner = n.id
LEFT JOIN (SELECT node, sum(connections) AS connections FROM slot GROUP BY node) AS s
  ON s.node = n.id
-- This minute's, and as much of the last one's as lies within sixty seconds.
LEFT JOIN (SELECT v.node, sum(v.messages * CASE WHEN v.minute = relay_now() / 60000000 THEN 1
    ELSE 1 - (relay_now() % 60000000) / 60000000.0 END) AS messages FROM usage v
  WHERE v.minute >= relay_now() / 60000000 - 1 GROUP BY v.node) AS u ON u.node = n.id
ORDER BY gone, n.started_at, n.id
