-- version 6

CREATE TABLE dead_letter (
  shard INTEGER NOT NULL,
  webhook TEXT NOT NULL,
  seq INTEGER NOT NULL,
  lane TEXT NOT NULL,
  at INTEGER NOT NULL,
  since INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  reason TEXT NOT NULL,
  PRIMARY KEY (shard, webhook, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE delivery (
  shard INTEGER NOT NULL,
  webhook TEXT NOT NULL,
  lane TEXT NOT NULL,
  seq INTEGER NOT NULL,
  due_at INTEGER,
  attempts INTEGER NOT NULL,
  since INTEGER NOT NULL,
  reason TEXT,
  PRIMARY KEY (shard, webhook, lane, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE event (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  shard INTEGER NOT NULL,
  instance TEXT NOT NULL,
  task_id TEXT NOT NULL,
  id TEXT NOT NULL,
  type TEXT NOT NULL,
  time INTEGER NOT NULL,
  uses INTEGER NOT NULL,
  body TEXT NOT NULL
) STRICT;

CREATE TABLE instance (
  shard INTEGER NOT NULL,
  key TEXT NOT NULL,
  revision INTEGER NOT NULL,
  last_complete_at INTEGER,
  last_sweep_at INTEGER,
  record TEXT NOT NULL,
  PRIMARY KEY (shard, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE name (
  shard INTEGER NOT NULL,
  project_id TEXT NOT NULL,
  name TEXT NOT NULL,
  executed INTEGER NOT NULL,
  sketch TEXT,
  PRIMARY KEY (shard, project_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE note (
  name TEXT PRIMARY KEY,
  value TEXT,
  version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE note_floor (
  version INTEGER NOT NULL
) STRICT;

CREATE TABLE origin (
  id TEXT NOT NULL
) STRICT;

CREATE TABLE removal (
  shard INTEGER NOT NULL,
  key TEXT NOT NULL,
  removals INTEGER NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (shard, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE set_aside (
  shard INTEGER NOT NULL,
  kind TEXT NOT NULL,
  key TEXT NOT NULL,
  why TEXT NOT NULL,
  at INTEGER NOT NULL,
  content TEXT,
  PRIMARY KEY (shard, kind, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE shard (
  shard INTEGER PRIMARY KEY,
  owner TEXT,
  fence INTEGER NOT NULL,
  generation INTEGER NOT NULL
) STRICT;

CREATE TABLE sqlite_sequence(name,seq);

CREATE TABLE task (
  shard INTEGER NOT NULL,
  instance TEXT NOT NULL,
  id TEXT NOT NULL,
  flags INTEGER NOT NULL,
  state TEXT NOT NULL,
  PRIMARY KEY (shard, instance, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX delivery_age ON delivery (shard, webhook, since) WHERE due_at IS NOT NULL;

CREATE INDEX delivery_due ON delivery (shard, webhook, due_at, seq) WHERE due_at IS NOT NULL;

CREATE UNIQUE INDEX event_identity ON event (task_id, id);

CREATE INDEX task_live ON task (shard) WHERE flags > 0;
