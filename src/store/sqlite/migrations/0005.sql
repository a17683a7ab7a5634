-- Records that a version could not read: kept as they are, out of use, for a newer version or a person.
CREATE TABLE set_aside (
  shard INTEGER NOT NULL,
  kind TEXT NOT NULL,
  key TEXT NOT NULL,
  why TEXT NOT NULL,
  at INTEGER NOT NULL,
  content TEXT,
  PRIMARY KEY (shard, kind, key)
) STRICT, WITHOUT ROWID;
