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

local function is_lane(rows)
  for _, row in ipairs(rows) do
    if type(row) ~= 'table' or type(row[1]) ~= 'number' or type(row[2]) ~= 'string' then return false end
    if type(row[3]) ~= 'number' or type(row[4]) ~= 'number' then return false end
  end
  return #rows > 0
end

-- The deliveries of a lane, {seq, event id, attempts, since} each; none where there is no such lane. One that cannot be
-- read is kept aside and made anew from the ages of its deliveries: what is lost is how often they were tried.
local function lane_of(lanes, ages, events, aside, lane)
  local text = redis.call('HGET', lanes, lane)
  if not text then return {} end
  local rows, why = decode(text)
  if rows and is_lane(rows) then return rows end
  local webhook = string.match(lanes, '}:lanes:(.*)$') or ''
  set_aside(aside, 'delivery', webhook .. '/' .. lane, why or 'it is damaged: it is not a lane', text)
  rows = {}
  local all = redis.call('ZRANGE', ages, 0, -1, 'WITHSCORES')
  for place = 1, #all, 2 do
    local seq, of = string.match(all[place], '^(%d+) (.*)$')
    if of == lane then
      local event = decode(redis.call('HGET', events, seq) or '')
      local id = event and type(event[1]) == 'string' and event[1] or ''
      rows[#rows + 1] = {tonumber(seq), id, 0, tonumber(all[place + 1])}
    end
  end
  table.sort(rows, function(one, other) return one[1] < other[1] end)
  if #rows == 0 then redis.call('HDEL', lanes, lane) else redis.call('HSET', lanes, lane, cjson.encode(rows)) end
  return rows
end

-- The greatest version of a note that was removed.
local function floor_of(notes)
  return tonumber(string.match(redis.call('HGET', notes, '') or '', '^(%d+) ') or 0)
end
local function raise_floor(notes, version)
  redis.call('HSET', notes, '', string.format('%d 0', math.max(floor_of(notes), tonumber(version))))
end
