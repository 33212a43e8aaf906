-- KEYS[1] is the hash of one tenant. Times are microseconds.
-- now ('' = the clock of Redis) retry_after floor together
local now = tonumber(ARGV[1])
if not now then
  local t = redis.call('TIME')
  now = t[1] * 1000000 + t[2]
end
local h = redis.call('HMGET', KEYS[1], 'pause', 'factor', 'factor_at', 'halved_at')
local pause = math.max(tonumber(h[1] or 0), now + tonumber(ARGV[2]))
redis.call('HSET', KEYS[1], 'pause', string.format('%.0f', pause))
if not h[4] or now - tonumber(h[4]) >= tonumber(ARGV[4]) then
  local factor = 1
  if h[2] then factor = math.min(1, tonumber(h[2]) + (now - tonumber(h[3])) / 1000000 * 0.01) end
  redis.call('HSET', KEYS[1], 'factor', string.format('%.6f', math.max(tonumber(ARGV[3]), factor / 2)),
    'factor_at', string.format('%.0f', now), 'halved_at', string.format('%.0f', now))
end
local ttl = math.ceil((pause - now) / 1000) + 120000
if redis.call('PTTL', KEYS[1]) < ttl then redis.call('PEXPIRE', KEYS[1], ttl) end
return { string.format('%.0f', pause - now) }
