-- Takes a shard's lease by the server's clock.
-- KEYS  1 meta
-- ARGV  owner  lease time in ms
-- Returns  the fence, or 0 while another owner's time has not run out
if #KEYS ~= 1 or #ARGV ~= 2 then return redis.error_reply('taskwatch: acquire got ' .. #ARGV .. ' arguments') end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lease = redis.call('HMGET', KEYS[1], 'owner', 'till')
if lease[1] and lease[1] ~= '' and lease[1] ~= ARGV[1] and tonumber(lease[2]) > now then return 0 end
local fence = redis.call('HINCRBY', KEYS[1], 'fence', 1)
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'till', now + tonumber(ARGV[2]))
return fence
