-- Removes dead letters: by a command, or as pruning under a lease.
-- KEYS  1 meta  2 dead  3 uses
-- ARGV  owner ('' for a command)  fence, then sequence numbers
-- Returns  -1 fenced, or the numbers that were there
if #KEYS ~= 3 or #ARGV < 2 then return redis.error_reply('taskwatch: drop got ' .. #KEYS .. ' keys') end
if ARGV[1] ~= '' then
  local time = redis.call('TIME')
  local server = time[1] * 1000 + math.floor(time[2] / 1000)
  local lease = redis.call('HMGET', KEYS[1], 'owner', 'fence', 'till')
  if lease[1] ~= ARGV[1] or lease[2] ~= ARGV[2] or (tonumber(lease[3]) or 0) <= server then return -1 end
end
local found = {}
for place = 3, #ARGV do
  if redis.call('HDEL', KEYS[2], ARGV[place]) == 1 then
    if redis.call('HINCRBY', KEYS[3], ARGV[place], -1) <= 0 then redis.call('HDEL', KEYS[3], ARGV[place]) end
    found[#found + 1] = ARGV[place]
  end
end
return found
