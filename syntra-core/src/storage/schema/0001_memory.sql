-- Memories. Times are microseconds since 1970-01-01 UTC; the views below show them as people write them.

-- One number that every change of the file raises: whoever wants to know whether something changed compares it.
CREATE TABLE change_counter (
  only  INTEGER PRIMARY KEY CHECK (only = 1),
  value INTEGER NOT NULL CHECK (value >= 0)
) STRICT;
INSERT INTO change_counter (only, value) VALUES (1, 0);

-- A row for each scope (organisation and user) that has memories: when it last changed, so that indexes held in memory by this or
-- another process know what they missed. `removed` is the last change that took rows away.
CREATE TABLE memory_scopes (
  org      TEXT NOT NULL CHECK (org <> ''),
  user     TEXT NOT NULL CHECK (user <> ''),
  revision INTEGER NOT NULL,
  removed  INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (org, user)
) STRICT, WITHOUT ROWID;

CREATE TABLE memories (
  seq             INTEGER PRIMARY KEY,              -- the order of writing
  org             TEXT NOT NULL CHECK (org <> ''),
  user            TEXT NOT NULL CHECK (user <> ''),
  id              TEXT NOT NULL CHECK (id <> ''),
  kind            TEXT NOT NULL CHECK (kind IN ('profile', 'semantic', 'episodic', 'procedural')),
  text            TEXT NOT NULL CHECK (text <> ''),
  title           TEXT,
  speaker         TEXT,
  role            TEXT CHECK (role IN ('system', 'user', 'assistant', 'tool')),
  conversation    TEXT,
  said_at         INTEGER NOT NULL,
  created_at      INTEGER NOT NULL,
  valid_from      INTEGER NOT NULL,
  valid_to        INTEGER CHECK (valid_to >= valid_from),
  superseded_by   TEXT CHECK (superseded_by IS NULL OR valid_to IS NOT NULL),
  source_document TEXT,
  line_from       INTEGER CHECK (line_from >= 0),
  line_to         INTEGER CHECK (line_to >= 0),
  reliability     REAL CHECK (reliability BETWEEN 0 AND 1),
  access_count    INTEGER NOT NULL DEFAULT 0 CHECK (access_count >= 0),
  last_accessed   INTEGER,
  metadata        TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(metadata)),
  content_hash    BLOB NOT NULL CHECK (length(content_hash) = 16),
  revision        INTEGER NOT NULL,                 -- the change that wrote it last
  UNIQUE (org, user, id)
) STRICT;
CREATE INDEX memories_order ON memories (org, user);
CREATE INDEX memories_changed ON memories (org, user, revision);
CREATE INDEX memories_content ON memories (org, user, content_hash, said_at) WHERE valid_to IS NULL;
CREATE INDEX memories_conversation ON memories (org, user, conversation) WHERE conversation IS NOT NULL;
CREATE INDEX memories_successor ON memories (org, user, superseded_by) WHERE superseded_by IS NOT NULL;

-- Vectors of different models are never compared; each has its model's number.
CREATE TABLE embedding_models (
  model      INTEGER PRIMARY KEY,
  name       TEXT NOT NULL CHECK (name <> ''),
  dimensions INTEGER NOT NULL CHECK (dimensions > 0),
  UNIQUE (name, dimensions)
) STRICT;

CREATE TABLE memory_vectors (
  memory INTEGER NOT NULL REFERENCES memories (seq) ON DELETE CASCADE,
  model  INTEGER NOT NULL REFERENCES embedding_models (model),
  vector BLOB NOT NULL CHECK (length(vector) > 0 AND length(vector) % 4 = 0),  -- 32-bit floats, little-endian, unit length
  PRIMARY KEY (memory, model)
) STRICT;

CREATE VIEW memories_readable AS
SELECT org, user, id, kind, coalesce(speaker, role) AS said_by, conversation, text,
       strftime('%Y-%m-%dT%H:%M:%fZ', said_at / 1e6, 'unixepoch') AS said_at,
       strftime('%Y-%m-%dT%H:%M:%fZ', valid_from / 1e6, 'unixepoch') AS valid_from,
       strftime('%Y-%m-%dT%H:%M:%fZ', valid_to / 1e6, 'unixepoch') AS valid_to,
       superseded_by, source_document, line_from, line_to, reliability, access_count,
       strftime('%Y-%m-%dT%H:%M:%fZ', last_accessed / 1e6, 'unixepoch') AS last_accessed,
       (SELECT group_concat(m.name, ', ') FROM memory_vectors v JOIN embedding_models m USING (model)
         WHERE v.memory = memories.seq) AS vectors
  FROM memories ORDER BY seq;
