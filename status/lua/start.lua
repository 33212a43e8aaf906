-- id now run_ttl keep keep_log max since mark mode max_deltas | field value ...
-- A run that starts because of the mark "again" clears it in the same step. A full run that is asked for while a delta
-- run is live waits for its end.
local id, now, ttl, mode = ARGV[1], ARGV[2], ARGV[3], ARGV[9]
if redis.call('EXISTS', record(id)) == 1 then return answer('ok', id) end -- asked again, perhaps long after
local holder = redis.call('GET', key('run'))
local waits = holder and mode == 'full' and redis.call('HGET', record(holder), 'mode') == 'delta'
if waits and redis.call('EXISTS', key('next')) == 1 then return answer('live', redis.call('GET', key('next'))) end
if holder and not waits then return answer('live', holder) end

local open = redis.call('GET', key('open'))
if open and not waits then
  note(open, now, 'error', 'run expired: no worker executed it any longer, and a new one was started', { by = id })
  close(open, 'expired', now, ARGV[4], ARGV[5], 'fail_kind', 'unavailable',
    'fail_reason', 'no worker executed the run any longer')
  local promoted = redis.call('GET', key('open'))
  if promoted then return answer('live', promoted) end
end

local index, deltas = key('runs'), key('deltas')
if mode == 'delta' then
  local over = redis.call('ZCARD', deltas) - tonumber(ARGV[10])
  for _, old in ipairs(over >= 0 and redis.call('ZRANGE', deltas, 0, over) or {}) do
    redis.call('DEL', record(old), record(old) .. ':log', record(old) .. ':plan')
    redis.call('ZREM', index, old)
    redis.call('ZREM', deltas, old)
  end
else
  trim(index, key('run:'), ARGV[7], tonumber(ARGV[6]) - 1, deltas)
end
local seq = place(index, now)
redis.call('HSET', record(id), 'id', id, 'state', 'queued', 'created_at', now, 'enqueued_at', now, 'seq', seq,
  'epoch', redis.call('HINCRBY', key('meta'), 'epoch', 1), 'run_ttl', ttl, unpack(ARGV, 11))
local takes = redis.call('HGET', key('meta'), 'takes') -- of the newest plan, if it was not carried out
if takes then redis.call('HSET', record(id), 'takes', takes) end
redis.call('ZADD', index, seq, id)
if mode == 'delta' then redis.call('ZADD', deltas, seq, id) end
if ARGV[8] ~= '' then mark('clear', mode == 'delta' and 'again_delta' or 'again', ARGV[8]) end
if waits then
  redis.call('SET', key('next'), id)
else
  redis.call('SET', key('open'), id)
  live(id, now, ttl)
end
return answer('ok', id)
