-- Writes a small document by compare and set. No version ever comes again: those of all that were removed are below
-- the one of the field '', so nothing else is kept of them.
-- KEYS  1 notes  2 aside
-- ARGV  name  expected version (0: must not exist)  1 with a value, 0 to remove  value
-- Returns  1 written  0 another version
if #KEYS ~= 2 or #ARGV ~= 4 then return redis.error_reply('taskwatch: note got ' .. #ARGV .. ' arguments') end
local text = redis.call('HGET', KEYS[1], ARGV[1])
local version, has = string.match(text or '0 0', '^(%d+) ([01])')
if not version then
  set_aside(KEYS[2], 'note', ARGV[1], 'it is damaged: it has no version', text)
  -- Greater than any that it had.
  version, has = redis.call('TIME')[1], '0'
end
if tonumber(ARGV[2]) ~= (has == '1' and tonumber(version) or 0) then return 0 end
if not text and ARGV[3] == '0' then return 1 end
if ARGV[3] == '0' then
  raise_floor(KEYS[1], version)
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  -- The first version removed no note without keeping its version in its place.
  if has == '0' then version = math.max(tonumber(version), floor_of(KEYS[1])) end
  redis.call('HSET', KEYS[1], ARGV[1], string.format('%d 1', tonumber(version) + 1) .. ARGV[4])
end
return 1
