-- Comes before every script.

-- Keeps a copy of what cannot be read, byte by byte.
local function set_aside(aside, kind, key, why, raw)
  local time = redis.call('TIME')
  local at = time[1] * 1000 + math.floor(time[2] / 1000)
  redis.call('HSET', aside, cjson.encode({kind, key}), cjson.encode({at, why}) .. '\n' .. (raw or ''))
end

-- The value of a JSON text; nil for what is none, with the reason.
local function decode(text)
  local ok, value = pcall(cjson.decode, text)
  if not ok then return nil, 'it is damaged: it is not JSON' end
  if type(value) ~= 'table' then return nil, 'it is damaged: it is not a list' end
  if value.v then return nil, 'it has format ' .. tostring(value.v) .. ', and this version knows up to 1' end
  return value
end
