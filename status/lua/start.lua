-- id now run_ttl keep keep_log max since mark | field value ...
-- A run that starts because of the mark "again" clears it in the same step.
local id, now, ttl = ARGV[1], ARGV[2], ARGV[3]
if redis.call('EXISTS', record(id)) == 1 then return answer('ok', id) end -- asked again, perhaps long after
local holder = redis.call('GET', key('run'))
if holder then return answer('live', holder) end

local open = redis.call('GET', key('open'))
if open then
  note(open, now, 'error', 'run expired: no worker executed it any longer, and a new one was started', { by = id })
  close(open, 'expired', now, ARGV[4], ARGV[5], 'fail_kind', 'unavailable',
    'fail_reason', 'no worker executed the run any longer')
end

local index = key('runs')
trim(index, key('run:'), ARGV[7], tonumber(ARGV[6]) - 1)
local seq = place(index, now)
redis.call('HSET', record(id), 'id', id, 'state', 'queued', 'created_at', now, 'enqueued_at', now, 'seq', seq,
  'epoch', redis.call('HINCRBY', key('meta'), 'epoch', 1), unpack(ARGV, 9))
redis.call('ZADD', index, seq, id)
redis.call('SET', key('open'), id)
if ARGV[8] ~= '' then mark('clear', 'again', ARGV[8]) end
live(id, now, ttl)
return answer('ok', id)
