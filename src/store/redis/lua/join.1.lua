-- Announces a replica and returns those that are alive by the server's clock.
-- KEYS  1 members
-- ARGV  member  time to live in ms
-- Returns  members
if #KEYS ~= 1 or #ARGV ~= 2 then return redis.error_reply('taskwatch: join got ' .. #ARGV .. ' arguments') end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], ARGV[1], now + tonumber(ARGV[2]))
local alive, all = {}, redis.call('HGETALL', KEYS[1])
for place = 1, #all, 2 do
  if (tonumber(all[place + 1]) or 0) > now then alive[#alive + 1] = all[place]
  else redis.call('HDEL', KEYS[1], all[place]) end
end
return alive
