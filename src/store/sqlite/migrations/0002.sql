-- Tells this log of events from any other one, whose places mean nothing here.
CREATE TABLE origin (
  id TEXT NOT NULL
) STRICT;

INSERT INTO origin (id) VALUES (lower(hex(randomblob(8))));
