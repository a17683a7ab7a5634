-- Keeps a lease that is still ours, also one that ran out and that nobody else has taken.
-- KEYS  1 meta
-- ARGV  owner  fence  lease time in ms
-- Returns  the generation, or -1 for a lease that is lost, as one whose generation cannot be read
if #KEYS ~= 1 or #ARGV ~= 3 then return redis.error_reply('taskwatch: renew got ' .. #ARGV .. ' arguments') end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lease = redis.call('HMGET', KEYS[1], 'owner', 'fence', 'gen')
if lease[1] ~= ARGV[1] or lease[2] ~= ARGV[2] or not tonumber(lease[3] or 0) then return -1 end
redis.call('HSET', KEYS[1], 'till', now + tonumber(ARGV[3]))
return tonumber(lease[3] or 0)
