-- Takes due or old heads of lanes and records the hold, in one step.
-- KEYS  1 meta  2 events  3 lanes  4 due  5 held  6 ages  7 aside
-- ARGV  owner  fence  webhook  limit  now, or '' to take what was put in at the next time or before  until
--       unsure (1 where an earlier answer was lost), then the lanes that the caller knows that it holds
-- Returns  {-1} fenced, or {0, next due or '', then per delivery: lane, event, attempts, since}
if #KEYS ~= 7 or #ARGV < 7 then return redis.error_reply('taskwatch: claim got ' .. #KEYS .. ' keys') end
local time = redis.call('TIME')
local server = time[1] * 1000 + math.floor(time[2] / 1000)
local lease = redis.call('HMGET', KEYS[1], 'owner', 'fence', 'till')
if lease[1] ~= ARGV[1] or lease[2] ~= ARGV[2] or (tonumber(lease[3]) or 0) <= server then return {-1} end

local holder = 'hold:' .. ARGV[3]
local mine = redis.call('HGET', KEYS[1], holder) == ARGV[2]
if not mine or ARGV[7] == '1' then
  -- The holds of an owner before, or ours whose answer never came: free again.
  local known = {}
  if mine then for place = 8, #ARGV do known[ARGV[place]] = true end end
  local held = redis.call('HGETALL', KEYS[5])
  for place = 1, #held, 2 do
    if not known[held[place]] then
      redis.call('ZADD', KEYS[4], held[place + 1], held[place])
      redis.call('HDEL', KEYS[5], held[place])
    end
  end
  redis.call('HSET', KEYS[1], holder, ARGV[2])
end

local limit, answer, taken = tonumber(ARGV[4]), {0, ''}, 0
local function head_of(lane)
  local head = lane_of(KEYS[3], KEYS[6], KEYS[2], KEYS[7], lane)[1]
  if not head then redis.call('ZREM', KEYS[4], lane) end
  return head
end
local function take(lane, head, score)
  redis.call('ZREM', KEYS[4], lane)
  redis.call('HSET', KEYS[5], lane, score)
  answer[#answer + 1] = lane
  answer[#answer + 1] = redis.call('HGET', KEYS[2], head[1])
  answer[#answer + 1] = head[3]
  answer[#answer + 1] = head[4]
  taken = taken + 1
end

if ARGV[5] == '' then
  for _, row in ipairs(redis.call('ZRANGEBYSCORE', KEYS[6], '-inf', ARGV[6], 'LIMIT', 0, limit)) do
    local seq, lane = string.match(row, '^(%d+) (.*)$')
    local score = redis.call('ZSCORE', KEYS[4], lane)
    local head = score and head_of(lane)
    if head and head[1] == tonumber(seq) then take(lane, head, score) end
  end
  return answer
end

-- Scores below this are sequence numbers of what was never tried, which is due since it was put in, whatever the clock says.
local NEVER_TRIED = 1e12
local now = tonumber(ARGV[5])
local fresh = redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', '(' .. NEVER_TRIED, 'WITHSCORES', 'LIMIT', 0, limit + 1)
local again = redis.call('ZRANGEBYSCORE', KEYS[4], NEVER_TRIED, '+inf', 'WITHSCORES', 'LIMIT', 0, limit + 1)
local first, second, head = 1, 1, nil
while fresh[first] or again[second] do
  local due = tonumber(again[second + 1])
  local ready = due and due <= now
  if taken == limit or not (fresh[first] or ready) then
    answer[2] = fresh[first] and '0' or again[second + 1]
    break
  end
  head = fresh[first] and (head or head_of(fresh[first]))
  if fresh[first] and not head then
    first = first + 2
  elseif head and not (ready and due <= head[4]) then
    take(fresh[first], head, fresh[first + 1])
    first, head = first + 2, nil
  else
    local tried = head_of(again[second])
    if tried then take(again[second], tried, again[second + 1]) end
    second = second + 2
  end
end
return answer
