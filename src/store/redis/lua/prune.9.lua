-- Removes old events that nobody needs, from one stretch of the log.
-- KEYS  1 meta  2 events  3 event facts  4 event ids  5 uses  6 event log  7 live  8 removals  9 aside
-- ARGV  owner  fence  before  after which sequence number  how many to look at  removed before
-- Returns  {-1} fenced, or {0, last number looked at (0 for none), how many were old}
if #KEYS ~= 9 or #ARGV ~= 6 then return redis.error_reply('taskwatch: prune got ' .. #KEYS .. ' keys') end
local clock = redis.call('TIME')
local server = clock[1] * 1000 + math.floor(clock[2] / 1000)
local lease = redis.call('HMGET', KEYS[1], 'owner', 'fence', 'till')
if lease[1] ~= ARGV[1] or lease[2] ~= ARGV[2] or (tonumber(lease[3]) or 0) <= server then return {-1} end
redis.call('ZREMRANGEBYSCORE', KEYS[8], '-inf', '(' .. ARGV[6])
local last, old = 0, 0
for _, seq in ipairs(redis.call('ZRANGEBYSCORE', KEYS[6], '(' .. ARGV[4], '+inf', 'LIMIT', 0, ARGV[5])) do
  last = tonumber(seq)
  local facts = redis.call('HGET', KEYS[3], seq)
  local time, length, rest = string.match(facts or '', '^(%-?%d+) (%d+) (.*)$')
  if not time then
    set_aside(KEYS[9], 'event', seq, 'it is damaged: nothing says how old it is', redis.call('HGET', KEYS[2], seq))
    redis.call('HDEL', KEYS[2], seq)
    redis.call('HDEL', KEYS[3], seq)
    redis.call('ZREM', KEYS[6], seq)
  elseif tonumber(time) < tonumber(ARGV[3]) then
    old = old + 1
    local live, field = string.sub(rest, 1, tonumber(length)), string.sub(rest, tonumber(length) + 1)
    local task = redis.call('HGET', KEYS[7], live)
    -- 2 stuck, 4 open failure: what an open incident still needs.
    local needed = task and tonumber(string.sub(task, 1, 1)) >= 2
    if not needed and redis.call('HEXISTS', KEYS[5], seq) == 0 then
      redis.call('HDEL', KEYS[2], seq)
      redis.call('HDEL', KEYS[3], seq)
      redis.call('HDEL', KEYS[4], field)
      redis.call('ZREM', KEYS[6], seq)
    end
  end
end
return {0, last, old}
