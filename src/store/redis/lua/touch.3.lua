-- Flushes the times of complete polls.
-- KEYS  1 meta  2 revisions  3 times
-- ARGV  owner  fence, then triples: instance, last complete, last sweep
-- Returns  0 ok  -1 fenced
if #KEYS ~= 3 or #ARGV % 3 ~= 2 then return redis.error_reply('taskwatch: touch got ' .. #ARGV .. ' arguments') end
local time = redis.call('TIME')
local server = time[1] * 1000 + math.floor(time[2] / 1000)
local lease = redis.call('HMGET', KEYS[1], 'owner', 'fence', 'till')
if lease[1] ~= ARGV[1] or lease[2] ~= ARGV[2] or (tonumber(lease[3]) or 0) <= server then return -1 end
for place = 3, #ARGV, 3 do
  if redis.call('HEXISTS', KEYS[2], ARGV[place]) == 1 then
    redis.call('HSET', KEYS[3], ARGV[place], ARGV[place + 1] .. ' ' .. ARGV[place + 2])
  end
end
return 0
