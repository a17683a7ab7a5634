-- Removes a note that its reader cannot make sense of, and keeps a copy.
-- KEYS  1 notes  2 aside
-- ARGV  name  expected version  why
-- Returns  1 done  0 another version
if #KEYS ~= 2 or #ARGV ~= 3 then return redis.error_reply('taskwatch: asidenote got ' .. #ARGV .. ' arguments') end
local text = redis.call('HGET', KEYS[1], ARGV[1]) or ''
local version, has = string.match(text, '^(%d+) ([01])')
if has ~= '1' or tonumber(version) ~= tonumber(ARGV[2]) then return 0 end
set_aside(KEYS[2], 'note', ARGV[1], ARGV[3], string.sub(text, #version + 3))
raise_floor(KEYS[1], version)
redis.call('HDEL', KEYS[1], ARGV[1])
return 1
