-- Schema 5. A disk may give back other bytes than it got: such a message must not leave.

ALTER TABLE body ADD COLUMN crc INTEGER;  -- CRC-32 of bytes; empty in rows from before
