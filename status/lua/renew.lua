-- id epoch token now run_ttl lease_ttl
local id = ARGV[1]
if not holds(id, ARGV[2], ARGV[3]) then
  local f = redis.call('HMGET', record(id), 'state', 'cancelled_by')
  return { 'stale', f[1] or '', f[2] or '' }
end
redis.call('SET', key('run'), id, 'PX', ARGV[5])
redis.call('SET', key('lease'), ARGV[3], 'PX', ARGV[6])
redis.call('HSET', record(id), 'expires_at', ARGV[4] + ARGV[6])
return { 'ok' }
