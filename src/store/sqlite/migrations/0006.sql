-- Versions of notes never come again: those of all that were removed are below this one, so nothing else is kept of them.
CREATE TABLE note_floor (
  version INTEGER NOT NULL
) STRICT;

INSERT INTO note_floor (version) SELECT coalesce(max(version), 0) FROM note WHERE value IS NULL;

DELETE FROM note WHERE value IS NULL;
