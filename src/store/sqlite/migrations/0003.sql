-- Heads of lanes by age: what is past its retry time is found whatever its due time.
CREATE INDEX delivery_age ON delivery (shard, webhook, since) WHERE due_at IS NOT NULL;
