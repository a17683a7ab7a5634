-- Sets dead letters aside that cannot be read.
-- KEYS  1 meta  2 dead  3 uses  4 aside
-- ARGV  owner  fence  webhook, then pairs: sequence number, why
-- Returns  0 ok  -1 fenced
if #KEYS ~= 4 or #ARGV % 2 ~= 1 then return redis.error_reply('taskwatch: asideletter got ' .. #ARGV .. ' arguments') end
local time = redis.call('TIME')
local server = time[1] * 1000 + math.floor(time[2] / 1000)
local lease = redis.call('HMGET', KEYS[1], 'owner', 'fence', 'till')
if lease[1] ~= ARGV[1] or lease[2] ~= ARGV[2] or (tonumber(lease[3]) or 0) <= server then return -1 end
for place = 4, #ARGV, 2 do
  local seq = ARGV[place]
  local text = redis.call('HGET', KEYS[2], seq)
  if text then
    set_aside(KEYS[4], 'dead_letter', ARGV[3] .. '/' .. seq, ARGV[place + 1], text)
    redis.call('HDEL', KEYS[2], seq)
    if redis.call('HINCRBY', KEYS[3], seq, -1) <= 0 then redis.call('HDEL', KEYS[3], seq) end
  end
end
return 0
