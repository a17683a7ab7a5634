-- Takes a shard's lease by the server's clock.
-- KEYS  1 meta  2 aside  3 event log
-- ARGV  owner  lease time in ms
-- Returns  the fence, or 0 while another owner's time has not run out
if #KEYS ~= 3 or #ARGV ~= 2 then return redis.error_reply('taskwatch: acquire got ' .. #ARGV .. ' arguments') end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lease = redis.call('HMGET', KEYS[1], 'owner', 'till')
if lease[1] and lease[1] ~= '' and lease[1] ~= ARGV[1] and (tonumber(lease[2]) or 0) > now then return 0 end

-- A value that is not a whole number is kept aside. The time is greater than any count was, and counts go on from it.
local _, last = unpack(redis.call('ZREVRANGE', KEYS[3], 0, 0, 'WITHSCORES'))
for name, anew in pairs({till = 0, fence = now, gen = now, seq = tonumber(last) or 0}) do
  local value = redis.call('HGET', KEYS[1], name)
  if value and not (string.match(value, '^%d+$') and #value < 16) then
    set_aside(KEYS[2], 'lease', name, 'it is damaged: it is not a whole number', value)
    redis.call('HSET', KEYS[1], name, string.format('%d', anew))
  end
end
local fence = redis.call('HINCRBY', KEYS[1], 'fence', 1)
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'till', now + tonumber(ARGV[2]))
return fence
