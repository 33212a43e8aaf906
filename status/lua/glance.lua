-- limit | field ...
-- What the sync status needs of a container, in one step and without a write. KEYS[2] is a key of the same container that
-- another package owns. The reply is flat: whether a run is live, 1 and the value of KEYS[2] or 0, the configuration that
-- counts, how many workers are live, these workers, the fields of meta, and the ids of the newest runs.
local best, generation = counting()
local beside = redis.call('GET', KEYS[2])
local workers = {}
if best then workers = redis.call('ZRANGEBYSCORE', key('configured'), string.format('%.0f', clock()), '+inf') end
local out = { tostring(redis.call('EXISTS', key('run'))), beside and '1' .. beside or '0', best or '',
  tostring(generation), tostring(#workers) }
for _, worker in ipairs(workers) do out[#out + 1] = worker end
for _, v in ipairs(redis.call('HMGET', key('meta'), unpack(ARGV, 2))) do out[#out + 1] = v or '' end
for _, id in ipairs(redis.call('ZREVRANGE', key('runs'), 0, ARGV[1] - 1)) do out[#out + 1] = id end
return out
