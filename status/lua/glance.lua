-- limit | field ...
-- What the sync status needs of a container, in one step and without a write. KEYS[2] is a key of the same container that
-- another package owns. The reply is whether a run is live, the value of KEYS[2] or nil, the configuration that counts,
-- its generation, the live workers, the fields of meta, and the ids of the newest runs.
local best, generation = counting()
local workers = {}
if best then workers = redis.call('ZRANGEBYSCORE', key('configured'), string.format('%.0f', clock()), '+inf') end
return { redis.call('EXISTS', key('run')), redis.call('GET', KEYS[2]), best or '', tostring(generation), workers,
  redis.call('HMGET', key('meta'), unpack(ARGV, 2)), redis.call('ZREVRANGE', key('runs'), 0, ARGV[1] - 1) }
