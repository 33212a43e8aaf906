-- id epoch token now state run_ttl keep keep_log | field value ...
-- state is queued (handed back), deferred, completed or failed.
local id, epoch, token, now, state, ttl = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local rec = record(id)
if redis.call('HGET', rec, 'released_by') == token then return answer('ok', id) end -- repeated after a lost response
if not holds(id, epoch, token) then return answer('stale', id) end

redis.call('HSET', rec, 'released_by', token)
if state == 'queued' then
  queue(id, now, ttl, 0)
elseif state == 'deferred' then
  redis.call('DEL', key('lease'))
  redis.call('HSET', rec, 'state', state, unpack(ARGV, 9))
  note(id, now, 'info', 'run deferred', { reason = redis.call('HGET', rec, 'defer_reason') })
  live(id, now, ttl)
else
  close(id, state, now, ARGV[7], ARGV[8], unpack(ARGV, 9))
end
return answer('ok', id)
