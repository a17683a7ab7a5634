-- Takes due heads of lanes and records the hold, in one step.
-- KEYS  1 meta  2 events  3 lanes  4 due  5 held
-- ARGV  owner  fence  webhook  limit  now
--       unsure (1 where an earlier answer was lost), then the lanes that the caller knows that it holds
-- Returns  {-1} fenced, or {0, next due or '', then per delivery: lane, event, attempts, since}
if #KEYS ~= 5 or #ARGV < 6 then return redis.error_reply('taskwatch: claim got ' .. #KEYS .. ' keys') end
local time = redis.call('TIME')
local server = time[1] * 1000 + math.floor(time[2] / 1000)
local lease = redis.call('HMGET', KEYS[1], 'owner', 'fence', 'till')
if lease[1] ~= ARGV[1] or lease[2] ~= ARGV[2] or tonumber(lease[3]) <= server then return {-1} end

local holder = 'hold:' .. ARGV[3]
local mine = redis.call('HGET', KEYS[1], holder) == ARGV[2]
if not mine or ARGV[6] == '1' then
  -- The holds of an owner before, or ours whose answer never came: free again.
  local known = {}
  if mine then for place = 7, #ARGV do known[ARGV[place]] = true end end
  local held = redis.call('HGETALL', KEYS[5])
  for place = 1, #held, 2 do
    if not known[held[place]] then
      redis.call('ZADD', KEYS[4], held[place + 1], held[place])
      redis.call('HDEL', KEYS[5], held[place])
    end
  end
  redis.call('HSET', KEYS[1], holder, ARGV[2])
end

-- Scores below this are sequence numbers of what was never tried, which is due whatever the clock says.
local NEVER_TRIED = 1e12
local limit, now = tonumber(ARGV[4]), tonumber(ARGV[5])
local answer = {0, ''}
local heads = redis.call('ZRANGE', KEYS[4], 0, limit, 'WITHSCORES')
for place = 1, #heads, 2 do
  local lane, due = heads[place], tonumber(heads[place + 1])
  if (due >= NEVER_TRIED and due > now) or (place + 1) / 2 > limit then
    answer[2] = due >= NEVER_TRIED and heads[place + 1] or '0'
    break
  end
  local head = cjson.decode(redis.call('HGET', KEYS[3], lane))[1]
  redis.call('ZREM', KEYS[4], lane)
  redis.call('HSET', KEYS[5], lane, heads[place + 1])
  answer[#answer + 1] = lane
  answer[#answer + 1] = redis.call('HGET', KEYS[2], head[1])
  answer[#answer + 1] = head[3]
  answer[#answer + 1] = head[4]
end
return answer
