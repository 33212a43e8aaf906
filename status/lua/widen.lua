-- id epoch token
-- A delta run that cannot tell what changed reads everything, and counts as a full run from then on.
local id = ARGV[1]
if not holds(id, ARGV[2], ARGV[3]) then return { 'stale' } end
redis.call('HSET', record(id), 'mode', 'full')
redis.call('ZREM', key('deltas'), id)
return { 'ok' }
