-- Says what became of held deliveries and makes the next one of each lane its head.
-- KEYS  1 meta  2 lanes  3 due  4 held  5 dead  6 ages  7 uses  8 events  9 aside
-- ARGV  owner  fence  webhook  kind (delivered, retry, dead)  at  reason  now, then pairs: lane, event id
-- Returns  0 ok  -1 fenced
if #KEYS ~= 9 or #ARGV < 7 or #ARGV % 2 ~= 1 then
  return redis.error_reply('taskwatch: settle got ' .. #KEYS .. ' keys, ' .. #ARGV .. ' arguments')
end
local time = redis.call('TIME')
local server = time[1] * 1000 + math.floor(time[2] / 1000)
local lease = redis.call('HMGET', KEYS[1], 'owner', 'fence', 'till')
if lease[1] ~= ARGV[1] or lease[2] ~= ARGV[2] or (tonumber(lease[3]) or 0) <= server then return -1 end
if redis.call('HGET', KEYS[1], 'hold:' .. ARGV[3]) ~= ARGV[2] then return 0 end

local kind = ARGV[4]
for place = 8, #ARGV, 2 do
  local lane, id = ARGV[place], ARGV[place + 1]
  local rows = redis.call('HEXISTS', KEYS[4], lane) == 1 and lane_of(KEYS[2], KEYS[6], KEYS[8], KEYS[9], lane)
  local head = rows and rows[1]
  if head and head[2] == id then
    redis.call('HDEL', KEYS[4], lane)
    if kind == 'retry' then
      head[3] = head[3] + 1
      redis.call('HSET', KEYS[2], lane, cjson.encode(rows))
      redis.call('ZADD', KEYS[3], ARGV[5], lane)
    else
      local seq = head[1]
      redis.call('ZREM', KEYS[6], string.format('%d ', seq) .. lane)
      if kind == 'dead' then
        redis.call('HSET', KEYS[5], seq, cjson.encode({lane, tonumber(ARGV[7]), head[4], head[3] + 1, ARGV[6], id}))
      elseif redis.call('HINCRBY', KEYS[7], seq, -1) <= 0 then
        redis.call('HDEL', KEYS[7], seq)
      end
      table.remove(rows, 1)
      if #rows == 0 then redis.call('HDEL', KEYS[2], lane)
      else
        redis.call('HSET', KEYS[2], lane, cjson.encode(rows))
        redis.call('ZADD', KEYS[3], rows[1][1], lane)
      end
    end
  end
end
return 0
