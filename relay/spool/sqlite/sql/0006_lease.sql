-- Schema 6. The lease is the record of an attempt that is under way: one row less to write for
-- each message, and two indexes that each message went through.

ALTER TABLE queue ADD COLUMN leased_at INTEGER;
ALTER TABLE queue ADD COLUMN attempting TEXT;  -- JSON: positions of the recipients
UPDATE queue SET leased_at = a.at, attempting = a.recipients FROM attempt a
WHERE a.outcome IS NULL AND a.message = queue.message AND a.lane = queue.lane
  AND a.token = queue.token AND queue.lease_owner IS NOT NULL;
DELETE FROM attempt WHERE outcome IS NULL AND EXISTS (SELECT 1 FROM queue q
  WHERE q.message = attempt.message AND q.lane = attempt.lane AND q.token = attempt.token
    AND q.lease_owner IS NOT NULL);

UPDATE message SET in_doubt = in_doubt + 1
WHERE id IN (SELECT message FROM attempt WHERE outcome IS NULL);
UPDATE attempt SET outcome = 'interrupted', in_doubt = 1 WHERE outcome IS NULL;
DROP INDEX attempt_running;
DROP INDEX queue_leased;
