-- Puts dead letters back, each by the lane beside its old one. A webhook that has the event already gets it once.
-- KEYS  1 meta  2 dead letters to take  3 uses  4 hooks  then of the webhook that gets them: 5 lanes  6 due  7 dead
--       8 ages  9 events  10 aside
-- ARGV  now  webhook that gets them, then sequence numbers in order
-- Returns  the numbers that were there
if #KEYS ~= 10 or #ARGV < 2 then return redis.error_reply('taskwatch: replay got ' .. #KEYS .. ' keys') end
local function need_less(seq)
  if redis.call('HINCRBY', KEYS[3], seq, -1) <= 0 then redis.call('HDEL', KEYS[3], seq) end
end
local found = {}
for place = 3, #ARGV do
  local seq = ARGV[place]
  local letter = decode(redis.call('HGET', KEYS[2], seq) or '')
  if letter and type(letter[1]) == 'string' then
    redis.call('HDEL', KEYS[2], seq)
    local own = letter[1]
    if string.sub(own, 1, 7) == 'replay:' then own = string.sub(own, 8) end
    local lane = 'replay:' .. own
    if redis.call('ZSCORE', KEYS[8], seq .. ' ' .. own) or redis.call('ZSCORE', KEYS[8], seq .. ' ' .. lane) then
      need_less(seq)
    else
      if redis.call('HDEL', KEYS[7], seq) == 1 then need_less(seq) end
      local rows = lane_of(KEYS[5], KEYS[8], KEYS[9], KEYS[10], lane)
      rows[#rows + 1] = {tonumber(seq), letter[6], 0, tonumber(ARGV[1])}
      redis.call('HSET', KEYS[5], lane, cjson.encode(rows))
      if #rows == 1 then redis.call('ZADD', KEYS[6], seq, lane) end
      redis.call('ZADD', KEYS[8], ARGV[1], seq .. ' ' .. lane)
    end
    found[#found + 1] = seq
  end
end
if #found > 0 then
  redis.call('SADD', KEYS[4], ARGV[2])
  redis.call('HINCRBY', KEYS[1], 'gen', 1)
end
return found
