-- Gives a lease back; the fence stays, and only grows.
-- KEYS  1 meta
-- ARGV  owner  fence
-- Returns  1 given back  0 was not ours
if #KEYS ~= 1 or #ARGV ~= 2 then return redis.error_reply('taskwatch: release got ' .. #ARGV .. ' arguments') end
local lease = redis.call('HMGET', KEYS[1], 'owner', 'fence')
if lease[1] ~= ARGV[1] or lease[2] ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'owner', '', 'till', 0)
return 1
