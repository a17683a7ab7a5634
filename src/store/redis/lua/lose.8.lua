-- Takes a held delivery out of its lane because its event cannot be read, and keeps what there is aside.
-- KEYS  1 meta  2 lanes  3 due  4 held  5 ages  6 uses  7 events  8 aside
-- ARGV  owner  fence  webhook  lane  why
-- Returns  0 ok  -1 fenced
if #KEYS ~= 8 or #ARGV ~= 5 then return redis.error_reply('taskwatch: lose got ' .. #ARGV .. ' arguments') end
local time = redis.call('TIME')
local server = time[1] * 1000 + math.floor(time[2] / 1000)
local lease = redis.call('HMGET', KEYS[1], 'owner', 'fence', 'till')
if lease[1] ~= ARGV[1] or lease[2] ~= ARGV[2] or (tonumber(lease[3]) or 0) <= server then return -1 end
local lane = ARGV[4]
if redis.call('HGET', KEYS[1], 'hold:' .. ARGV[3]) ~= ARGV[2] then return 0 end
if redis.call('HEXISTS', KEYS[4], lane) == 0 then return 0 end
redis.call('HDEL', KEYS[4], lane)
local rows = lane_of(KEYS[2], KEYS[5], KEYS[7], KEYS[8], lane)
local head = table.remove(rows, 1)
if not head then return 0 end
local seq = string.format('%d', head[1])
local text = redis.call('HGET', KEYS[7], seq)
if text then
  set_aside(KEYS[8], 'event', head[2], ARGV[5], text)
  redis.call('HDEL', KEYS[7], seq)
end
set_aside(KEYS[8], 'delivery', ARGV[3] .. '/' .. lane .. '/' .. head[2], 'its event cannot be read', cjson.encode(head))
redis.call('ZREM', KEYS[5], seq .. ' ' .. lane)
if redis.call('HINCRBY', KEYS[6], seq, -1) <= 0 then redis.call('HDEL', KEYS[6], seq) end
if #rows == 0 then redis.call('HDEL', KEYS[2], lane)
else
  redis.call('HSET', KEYS[2], lane, cjson.encode(rows))
  redis.call('ZADD', KEYS[3], rows[1][1], lane)
end
return 0
