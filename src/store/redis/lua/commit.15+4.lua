-- One decision, whole or not at all: state, events and deliveries.
-- KEYS  1 meta  2 revisions  3 records  4 times  5 tasks of the instance  6 live  7 names
--       8 events  9 event facts  10 event ids  11 uses  12 event log  13 hooks  14 removals  15 aside
--       then for each webhook: lanes, due, dead, ages
-- ARGV  owner ('' for a command's write)  fence  expected revision  instance  record ('' removes)
--       last complete ('' none)  last sweep ('' none)  live prefix
--       counts: upserts, removals, names, events
--       of a removed instance: how often by now ('' none)  when
--       the webhooks, by name, in the order of their keys
--       upserts: id, flags, state   removals: id   names: field, value
--       events: id field, id, event, facts, time, lane, number of webhooks, then their places from 1
-- Returns  {0, generation}  {-1} fenced  {-2} stale
local at = 14
local function take() at = at + 1 return ARGV[at] end
if (#KEYS - 15) % 4 ~= 0 then return redis.error_reply('taskwatch: commit got ' .. #KEYS .. ' keys') end

if ARGV[1] ~= '' then
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local lease = redis.call('HMGET', KEYS[1], 'owner', 'fence', 'till')
  if lease[1] ~= ARGV[1] or lease[2] ~= ARGV[2] or (tonumber(lease[3]) or 0) <= now then return {-1} end
end
local key = ARGV[4]
if tonumber(redis.call('HGET', KEYS[2], key) or 0) ~= tonumber(ARGV[3]) then return {-2} end

if ARGV[5] == '' then
  for _, id in ipairs(redis.call('HKEYS', KEYS[5])) do redis.call('HDEL', KEYS[6], ARGV[8] .. id) end
  redis.call('DEL', KEYS[5])
  for place = 2, 4 do redis.call('HDEL', KEYS[place], key) end
  if ARGV[13] ~= '' then redis.call('ZADD', KEYS[14], ARGV[14], ARGV[13] .. ' ' .. key) end
else
  redis.call('HINCRBY', KEYS[2], key, 1)
  redis.call('HSET', KEYS[3], key, ARGV[5])
  redis.call('HSET', KEYS[4], key, ARGV[6] .. ' ' .. ARGV[7])
end
for _ = 1, (#KEYS - 15) / 4 do redis.call('SADD', KEYS[13], take()) end
for _ = 1, tonumber(ARGV[9]) do
  local id, flags, state = take(), take(), take()
  if ARGV[5] ~= '' then
    redis.call('HSET', KEYS[5], id, state)
    if flags ~= '0' then redis.call('HSET', KEYS[6], ARGV[8] .. id, flags .. state)
    else redis.call('HDEL', KEYS[6], ARGV[8] .. id) end
  end
end
for _ = 1, tonumber(ARGV[10]) do
  local id = take()
  redis.call('HDEL', KEYS[5], id)
  redis.call('HDEL', KEYS[6], ARGV[8] .. id)
end
for _ = 1, tonumber(ARGV[11]) do redis.call('HSET', KEYS[7], take(), take()) end

local function rows_of(place, lane) return lane_of(KEYS[place], KEYS[place + 3], KEYS[8], KEYS[15], lane) end
local function is_pending(place, lane, seq)
  for _, name in ipairs({lane, 'replay:' .. lane}) do
    for _, row in ipairs(rows_of(place, name)) do if row[1] == seq then return true end end
  end
  return false
end
local function enqueue(place, lane, seq, id, since)
  local rows = rows_of(place, lane)
  rows[#rows + 1] = {seq, id, 0, since}
  redis.call('HSET', KEYS[place], lane, cjson.encode(rows))
  if #rows == 1 then redis.call('ZADD', KEYS[place + 1], seq, lane) end
  redis.call('ZADD', KEYS[place + 3], since, string.format('%d ', seq) .. lane)
end
for _ = 1, tonumber(ARGV[12]) do
  local field, id, event, facts, time, lane = take(), take(), take(), take(), tonumber(take()), take()
  local places = {}
  for index = 1, tonumber(take()) do places[index] = 16 + (tonumber(take()) - 1) * 4 end
  local seq = tonumber(redis.call('HGET', KEYS[10], field) or 0)
  local uses = seq > 0 and tonumber(redis.call('HGET', KEYS[11], seq) or 0) or 0
  if uses > 0 then
    for _, place in ipairs(places) do
      if not is_pending(place, lane, seq) then
        if redis.call('HDEL', KEYS[place + 2], seq) == 0 then redis.call('HINCRBY', KEYS[11], seq, 1) end
        enqueue(place, lane, seq, id, time)
      end
    end
  else
    if seq > 0 then
      redis.call('HDEL', KEYS[8], seq)
      redis.call('HDEL', KEYS[9], seq)
      redis.call('ZREM', KEYS[12], seq)
    end
    seq = redis.call('HINCRBY', KEYS[1], 'seq', 1)
    redis.call('HSET', KEYS[8], seq, event)
    redis.call('HSET', KEYS[9], seq, facts)
    redis.call('HSET', KEYS[10], field, seq)
    redis.call('ZADD', KEYS[12], seq, seq)
    if #places > 0 then redis.call('HSET', KEYS[11], seq, #places) end
    for _, place in ipairs(places) do enqueue(place, lane, seq, id, time) end
  end
end
return {0, redis.call('HINCRBY', KEYS[1], 'gen', 1)}
