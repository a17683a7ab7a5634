-- Sets records of one instance, or names, aside and puts a record in the instance's place.
-- KEYS  1 meta  2 aside  3 revisions  4 records  5 times  6 tasks of the instance  7 live  8 names  9 removals
-- ARGV  owner  fence  instance ('' for names)  its revision as it was read  the next one  record  times
--       removals and instance, as a member of removals ('' where they stay)  when
--       then for each record: kind, key, why, its field, its field in live
-- Returns  0 ok  -1 fenced  -2 somebody else wrote the instance
if #KEYS ~= 9 or #ARGV % 5 ~= 4 then return redis.error_reply('taskwatch: aside got ' .. #ARGV .. ' arguments') end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lease = redis.call('HMGET', KEYS[1], 'owner', 'fence', 'till')
if lease[1] ~= ARGV[1] or lease[2] ~= ARGV[2] or (tonumber(lease[3]) or 0) <= now then return -1 end
local instance = ARGV[3]
if instance ~= '' and redis.call('HGET', KEYS[3], instance) ~= ARGV[4] then return -2 end

for place = 10, #ARGV, 5 do
  local kind, key, why, field, live = unpack(ARGV, place, place + 4)
  if kind == 'instance' then
    set_aside(KEYS[2], kind, key, why, redis.call('HGET', KEYS[4], instance))
  elseif kind == 'task' then
    set_aside(KEYS[2], kind, key, why, redis.call('HGET', KEYS[6], field) or redis.call('HGET', KEYS[7], live))
    redis.call('HDEL', KEYS[6], field)
    redis.call('HDEL', KEYS[7], live)
  else
    set_aside(KEYS[2], kind, key, why, redis.call('HGET', KEYS[8], field))
    redis.call('HDEL', KEYS[8], field)
  end
end
if instance ~= '' then
  redis.call('HSET', KEYS[3], instance, ARGV[5])
  redis.call('HSET', KEYS[4], instance, ARGV[6])
  redis.call('HSET', KEYS[5], instance, ARGV[7])
  if ARGV[8] ~= '' then redis.call('ZADD', KEYS[9], ARGV[9], ARGV[8]) end
end
return 0
