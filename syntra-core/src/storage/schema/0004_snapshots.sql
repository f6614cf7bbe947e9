-- The snapshot of a scope's index: a file beside this one, which is used only if it carries the token that stands here. What takes rows
-- away, or changes a text, takes this row away in the same transaction, and with it the use of the file.

CREATE TABLE index_snapshots (
  org        TEXT NOT NULL CHECK (org <> ''),
  user       TEXT NOT NULL CHECK (user <> ''),
  model      TEXT NOT NULL,                         -- the embedding model's name; empty without one
  dimensions INTEGER NOT NULL,
  revision   INTEGER NOT NULL,                      -- the scope's revision that it shows
  token      BLOB NOT NULL CHECK (length(token) = 16),
  PRIMARY KEY (org, user)
) STRICT, WITHOUT ROWID;
