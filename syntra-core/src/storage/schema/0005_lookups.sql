-- What is looked up without going through all that a scope has: the facts that hold of a user, and the chunks of an indexed folder.

CREATE INDEX memories_profile ON memories (org, user) WHERE kind = 'profile' AND valid_to IS NULL;
CREATE INDEX memories_chunks ON memories (org, user, json_extract(metadata, '$.folder'))
 WHERE kind = 'semantic' AND source_document IS NOT NULL;
