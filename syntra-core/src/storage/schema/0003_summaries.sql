-- What the older messages of a conversation said. Columns of the thread, so that it goes with it.

ALTER TABLE threads ADD COLUMN covered INTEGER NOT NULL DEFAULT 0 CHECK (covered >= 0);   -- messages, from the first, that it covers
ALTER TABLE threads ADD COLUMN summary TEXT;
