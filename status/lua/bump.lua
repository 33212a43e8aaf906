-- id epoch now run_ttl
if redis.call('GET', key('open')) ~= ARGV[1] then return answer('stale', ARGV[1]) end
local f = redis.call('HMGET', record(ARGV[1]), 'state', 'epoch')
if f[1] ~= 'queued' or f[2] ~= ARGV[2] then return answer('stale', ARGV[1]) end
queue(ARGV[1], ARGV[3], ARGV[4], ARGV[3])
return answer('ok', ARGV[1])
