-- KEYS[1] is the hash of one tenant. Times are microseconds.
-- now ('' = the clock of Redis) max_wait burst floor urgent ('1' or '') urgent_burst urgent_rate | bucket cost ...
-- A cost is a time at the full rate. Returns the wait and the rest of a pause. A wait beyond max_wait took no slot.
-- Local in local_test.go is the same in Go.
local now = tonumber(ARGV[1])
if not now then
  local t = redis.call('TIME')
  now = t[1] * 1000000 + t[2]
end
local h = redis.call('HMGET', KEYS[1], 'pause', 'factor', 'factor_at', 'at')
if h[4] and now < tonumber(h[4]) - 10000000 then -- The clock of Redis was set back: the stored times mean nothing.
  redis.call('DEL', KEYS[1])
  h = {}
end
local pause = tonumber(h[1] or 0)
local factor = 1
if h[2] then
  factor = math.max(tonumber(ARGV[4]), math.min(1, tonumber(h[2]) + (now - tonumber(h[3])) / 1000000 * 0.01))
end

local from = math.max(now, pause) -- no call is made during a pause, and a pause adds nothing to the burst
local start, first, set, mark, last = from, from, { 'at', string.format('%.0f', now) }, {}, from
local urgent = ARGV[5] == '1'
local minute = math.floor(now / 60000000)
for i = 8, #ARGV, 2 do
  local name = ARGV[i]
  local b = redis.call('HMGET', KEYS[1], 'b:' .. name, 'm:' .. name, 'n:' .. name, 'p:' .. name, 'u:' .. name, 'v:' .. name)
  local cost = tonumber(ARGV[i + 1]) / factor
  local free = math.max(tonumber(b[1] or 0), from) + cost
  start = math.max(start, free - tonumber(ARGV[3]))
  last = math.max(last, free)
  set[#set + 1] = 'b:' .. name
  set[#set + 1] = string.format('%.0f', free)

  -- An urgent call comes one interval after the last urgent one (u), whatever slots others took. The share of urgent
  -- calls is a bucket of its own (v).
  if urgent then
    local after = math.max(tonumber(b[5] or 0), from) + cost
    local share = math.max(tonumber(b[6] or 0), from) + cost / tonumber(ARGV[7])
    urgent = share - from <= tonumber(ARGV[6]) / tonumber(ARGV[7])
    first = math.max(first, math.min(after, free - tonumber(ARGV[3])))
    for field, v in pairs({ u = after, v = share }) do
      mark[#mark + 1] = field .. ':' .. name
      mark[#mark + 1] = string.format('%.0f', v)
    end
  end

  -- The use in this minute and in the previous one, for Shared.States.
  local at, taken, before = tonumber(b[2] or 0), tonumber(b[3] or 0), tonumber(b[4] or 0)
  if at ~= minute then
    before = at == minute - 1 and taken or 0
    taken = 0
  end
  for field, v in pairs({ m = minute, n = taken + tonumber(ARGV[i + 1]), p = before }) do
    set[#set + 1] = field .. ':' .. name
    set[#set + 1] = string.format('%.0f', v)
  end
end

if urgent then start = first end
local wait = math.ceil(start - now)
if wait <= tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[1], unpack(set))
  if urgent then redis.call('HSET', KEYS[1], unpack(mark)) end
  -- Every bucket runs empty and the rate recovers before the key expires.
  redis.call('PEXPIRE', KEYS[1], math.ceil((last - now) / 1000) + 120000)
end
return { string.format('%.0f', wait), string.format('%.0f', pause - now) }
