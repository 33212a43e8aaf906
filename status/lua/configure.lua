-- mode (claim, leave or look) worker digest ttl
-- configured: what live workers have, scored by when they no longer count as alive. configurations: the generation of
-- each digest, from when it was first seen.
local mode, worker, digest = ARGV[1], ARGV[2], ARGV[3]
local set, known = key('configured'), key('configurations')
local now = clock()
redis.call('ZREMRANGEBYSCORE', set, '-inf', '(' .. string.format('%.0f', now))
local mine = digest .. ' ' .. worker
if mode == 'leave' then redis.call('ZREM', set, mine) end
if mode == 'claim' then
  redis.call('ZADD', set, string.format('%.0f', now + ARGV[4]), mine)
  if redis.call('HEXISTS', known, digest) == 0 then
    redis.call('HSET', known, digest, redis.call('HINCRBY', key('meta'), 'generation', 1))
  end
end
local best, generation = counting()
local out = { best or '', tostring(generation) }
for _, member in ipairs(redis.call('ZRANGE', set, 0, -1)) do table.insert(out, member) end
return out
