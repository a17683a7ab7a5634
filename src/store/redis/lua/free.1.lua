-- Would a shard's lease be given to this owner, by the server's clock?
-- KEYS  1 meta
-- ARGV  owner
-- Returns  1 it would  0 another owner's time has not run out
if #KEYS ~= 1 or #ARGV ~= 1 then return redis.error_reply('taskwatch: free got ' .. #ARGV .. ' arguments') end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lease = redis.call('HMGET', KEYS[1], 'owner', 'till')
if lease[1] and lease[1] ~= '' and lease[1] ~= ARGV[1] and (tonumber(lease[2]) or 0) > now then return 0 end
return 1
