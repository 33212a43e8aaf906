-- Returns the time in microseconds. Each returned time is later than all earlier ones.
-- KEYS: meta
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000000 + tonumber(t[2])
local last = tonumber(redis.call('HGET', KEYS[1], 'clock') or '0')
if now <= last then now = last + 1 end
local text = string.format('%.0f', now)
redis.call('HSET', KEYS[1], 'clock', text)
return text
