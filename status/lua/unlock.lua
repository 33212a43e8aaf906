-- slot lock_token lease_token
local name = key('entry:' .. ARGV[1])
if redis.call('GET', name) ~= ARGV[3] .. '|' .. ARGV[2] then return { 'stale' } end
redis.call('DEL', name)
return { 'ok' }
