-- id epoch token since
if not holds(ARGV[1], ARGV[2], ARGV[3]) then return { 'stale' } end
if redis.call('HGET', record(ARGV[1]), 'dry_run') ~= '1' then
  redis.call('HSET', key('meta'), 'leaver_since', ARGV[4])
end
return { 'ok' }
