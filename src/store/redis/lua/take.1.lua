-- Takes tokens of a project's budget; the arithmetic of src/store/token-bucket.ts by the server's clock.
-- KEYS  1 bucket
-- ARGV  tokens per second  wanted
-- Returns  {granted, ms until one token is there}
if #KEYS ~= 1 or #ARGV ~= 2 then return redis.error_reply('taskwatch: take got ' .. #ARGV .. ' arguments') end
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local rate, want = tonumber(ARGV[1]), math.floor(tonumber(ARGV[2]))
local bucket = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local at = tonumber(bucket[2] or '')
local elapsed = at and math.max(0, now - at) or 0
local filled = math.min(math.max(1, rate * 0.8), (tonumber(bucket[1] or 0) or 0) + elapsed * rate / 1000)
local granted = math.max(0, math.min(want, math.floor(filled)))
redis.call('HSET', KEYS[1], 'tokens', string.format('%.6f', filled - granted), 'at', string.format('%.3f', now))
local missing = (granted > 0 or want < 1) and 0 or 1 - filled
return {granted, math.ceil(missing * 1000 / rate)}
