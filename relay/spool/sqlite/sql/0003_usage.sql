-- Schema 3. What an account used counts also after a crash, and so does its pace.

ALTER TABLE usage ADD COLUMN transactions INTEGER NOT NULL DEFAULT 0;  -- that the server saw begin

-- Whose limits the mail of this lane uses up.
ALTER TABLE lane ADD COLUMN host TEXT;
ALTER TABLE lane ADD COLUMN username TEXT;
ALTER TABLE lane ADD COLUMN max_recipients INTEGER NOT NULL DEFAULT 100;
