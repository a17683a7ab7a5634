-- Puts dead letters back, each by the lane beside its old one.
-- KEYS  1 meta  2 lanes  3 due  4 dead  5 ages  6 events  7 aside
-- ARGV  now, then sequence numbers in order
-- Returns  the numbers that were there
if #KEYS ~= 7 then return redis.error_reply('taskwatch: replay got ' .. #KEYS .. ' keys') end
local found = {}
for place = 2, #ARGV do
  local letter = decode(redis.call('HGET', KEYS[4], ARGV[place]) or '')
  if letter and type(letter[1]) == 'string' then
    redis.call('HDEL', KEYS[4], ARGV[place])
    local lane = letter[1]
    if string.sub(lane, 1, 7) ~= 'replay:' then lane = 'replay:' .. lane end
    local rows = lane_of(KEYS[2], KEYS[5], KEYS[6], KEYS[7], lane)
    rows[#rows + 1] = {tonumber(ARGV[place]), letter[6], 0, tonumber(ARGV[1])}
    redis.call('HSET', KEYS[2], lane, cjson.encode(rows))
    if #rows == 1 then redis.call('ZADD', KEYS[3], ARGV[place], lane) end
    redis.call('ZADD', KEYS[5], ARGV[1], ARGV[place] .. ' ' .. lane)
    found[#found + 1] = ARGV[place]
  end
end
if #found > 0 then redis.call('HINCRBY', KEYS[1], 'gen', 1) end
return found
