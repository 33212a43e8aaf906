-- slot lock_token ttl lease_token ('' = not fenced)
if ARGV[4] ~= '' and redis.call('GET', key('lease')) ~= ARGV[4] then return { 'stale' } end
local name = key('entry:' .. ARGV[1])
if redis.call('SET', name, ARGV[2], 'NX', 'PX', ARGV[3]) then return { 'ok' } end
if redis.call('GET', name) == ARGV[2] then return { 'ok' } end -- ours, the answer was lost
return { 'busy' }
