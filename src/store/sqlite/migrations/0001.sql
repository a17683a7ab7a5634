-- One row per shard, made when the file is: their number is the store's `shards`.
CREATE TABLE shard (
  shard INTEGER PRIMARY KEY,
  owner TEXT,
  fence INTEGER NOT NULL,
  generation INTEGER NOT NULL
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

-- flags: 1 open, 2 stuck, 4 open failure.
CREATE TABLE task (
  shard INTEGER NOT NULL,
  instance TEXT NOT NULL,
  id TEXT NOT NULL,
  flags INTEGER NOT NULL,
  state TEXT NOT NULL,
  PRIMARY KEY (shard, instance, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX task_live ON task (shard) WHERE flags > 0;

CREATE TABLE name (
  shard INTEGER NOT NULL,
  project_id TEXT NOT NULL,
  name TEXT NOT NULL,
  executed INTEGER NOT NULL,
  sketch TEXT,
  PRIMARY KEY (shard, project_id, name)
) STRICT, WITHOUT ROWID;

-- task_id is empty for events of no task. uses: deliveries and dead letters that still need the event as it is.
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

-- Serves both "is this event known" and "the history of this task".
CREATE UNIQUE INDEX event_identity ON event (task_id, id);

-- due_at: null behind the head of the lane; 0 for a head that was never tried.
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

CREATE INDEX delivery_due ON delivery (shard, webhook, due_at, seq) WHERE due_at IS NOT NULL;

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

-- A removed note keeps its row without a value: its versions must never come again.
CREATE TABLE note (
  name TEXT PRIMARY KEY,
  value TEXT,
  version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
