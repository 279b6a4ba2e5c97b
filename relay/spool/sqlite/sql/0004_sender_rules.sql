-- Mail from `sender` (an address, or *@domain; lower case) through a smarthost leaves as `address`: adopted by
-- hand after a refusal, beside the sender policies of relay.toml.
CREATE TABLE sender_rule (
  smarthost   TEXT NOT NULL,
  sender      TEXT NOT NULL,
  address     TEXT NOT NULL,
  adopted_at  INTEGER NOT NULL,
  PRIMARY KEY (smarthost, sender)
) STRICT, WITHOUT ROWID;
