-- id epoch token now run_ttl lease_ttl worker
local id, epoch, token, now = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local rec = record(id)
local f = redis.call('HMGET', rec, 'state', 'epoch', 'started_at')
local waiting = f[1] == 'queued' or f[1] == 'running'
if redis.call('GET', key('open')) ~= id or f[2] ~= epoch or not waiting then return answer('stale', id) end
local best, _, its = counting(ARGV[7])
if its and its ~= best then return answer('superseded', id) end
local holder = redis.call('GET', key('lease'))
if holder and holder ~= token then return answer('held', id) end

live(id, now, ARGV[5])
redis.call('SET', key('lease'), token, 'PX', ARGV[6])
redis.call('HSET', rec, 'state', 'running', 'worker', ARGV[7], 'token', token, 'last_progress_at', now,
  'expires_at', now + ARGV[6])
redis.call('HDEL', rec, 'flush', 'deferred_until', 'r:user', 'r:group', 'r:membership')
if not f[3] then redis.call('HSET', rec, 'started_at', now) end
return answer('ok', id)
