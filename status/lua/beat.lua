-- KEYS[1] is the zset of workers, scored by the clock of Redis, and KEYS[2] the format of the data, which a live worker
-- raises to its own. mode (beat, retire or list) worker ttl format
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
if ARGV[1] == 'beat' then
  redis.call('ZADD', KEYS[1], now, ARGV[2])
  if (tonumber(redis.call('GET', KEYS[2]) or '') or 0) < tonumber(ARGV[4]) then redis.call('SET', KEYS[2], ARGV[4]) end
end
if ARGV[1] == 'retire' then redis.call('ZREM', KEYS[1], ARGV[2]) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. string.format('%.0f', now - ARGV[3]))
return redis.call('ZRANGE', KEYS[1], 0, -1)
