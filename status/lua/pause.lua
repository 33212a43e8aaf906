-- id epoch token until
if not holds(ARGV[1], ARGV[2], ARGV[3]) then return { 'stale' } end
redis.call('HSET', record(ARGV[1]), 'paused_until', ARGV[4])
return { 'ok' }
