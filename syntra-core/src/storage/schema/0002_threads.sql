-- Conversations and their messages.

CREATE TABLE threads (
  org        TEXT NOT NULL CHECK (org <> ''),
  user       TEXT NOT NULL CHECK (user <> ''),
  id         TEXT NOT NULL CHECK (id <> ''),
  title      TEXT,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  written    INTEGER NOT NULL,                      -- the change that wrote to it last: the order of the list
  messages   INTEGER NOT NULL DEFAULT 0 CHECK (messages >= 0),
  PRIMARY KEY (org, user, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX threads_written ON threads (org, user, written);

CREATE TABLE messages (
  org        TEXT NOT NULL,
  user       TEXT NOT NULL,
  thread     TEXT NOT NULL,
  place      INTEGER NOT NULL CHECK (place >= 0),   -- counted from 0 without gaps
  id         TEXT NOT NULL CHECK (id <> ''),
  role       TEXT NOT NULL CHECK (role IN ('system', 'user', 'assistant', 'tool')),
  text       TEXT NOT NULL,                         -- the text parts, for people; `message` is what is read back
  message    TEXT NOT NULL CHECK (json_valid(message)),
  metadata   TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(metadata)),
  created_at INTEGER NOT NULL,
  PRIMARY KEY (org, user, thread, place),
  UNIQUE (org, user, thread, id),
  FOREIGN KEY (org, user, thread) REFERENCES threads (org, user, id) ON DELETE CASCADE
) STRICT;

CREATE VIEW messages_readable AS
SELECT org, user, thread, place, role, text, strftime('%Y-%m-%dT%H:%M:%fZ', created_at / 1e6, 'unixepoch') AS created_at
  FROM messages ORDER BY org, user, thread, place;
