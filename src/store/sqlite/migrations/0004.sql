-- How often an instance was removed: event ids go on from there when it comes again.
CREATE TABLE removal (
  shard INTEGER NOT NULL,
  key TEXT NOT NULL,
  removals INTEGER NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (shard, key)
) STRICT, WITHOUT ROWID;
