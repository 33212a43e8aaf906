-- now alive run_ttl requeue_after stall_after give_up_after max_stalled keep keep_log
local now, alive, ttl = tonumber(ARGV[1]), ARGV[2] == '1', ARGV[3]
local id = redis.call('GET', key('open'))
if not id then return { 'none' } end
local rec = record(id)
local names = { 'state', 'enqueued_at', 'deferred_until', 'last_progress_at', 'done', 'done_at_resume',
  'stalled', 'expires_at', 'worker' }
local f = {}
for i, v in ipairs(redis.call('HMGET', rec, unpack(names))) do f[names[i]] = v end

if not f.state then -- the record was lost, so there is nothing to resume
  redis.call('DEL', key('open'), key('run'), key('lease'))
  return { 'none' }
end

local function give_up(word, state, reason)
  note(id, ARGV[1], 'error', reason, { worker = f.worker or '' })
  close(id, state, ARGV[1], ARGV[8], ARGV[9], 'fail_kind', 'unavailable', 'fail_reason', reason)
  return answer(word, id)
end

if redis.call('EXISTS', key('run')) == 0 and now - int(f.expires_at) > tonumber(ARGV[6]) then
  return give_up('abandoned', 'expired', 'no worker executed the run any longer')
end
if not alive then return { 'none' } end

if f.state == 'queued' then
  live(id, now, ttl)
  if now - int(f.enqueued_at) < tonumber(ARGV[4]) then return { 'none' } end
  redis.call('HSET', rec, 'enqueued_at', ARGV[1])
  return answer('enqueue', id)
end

if f.state == 'deferred' then
  if int(f.deferred_until) > now then
    live(id, now, ttl)
    return { 'none' }
  end
  queue(id, now, ttl, ARGV[1])
  return answer('wake', id)
end

if redis.call('EXISTS', key('lease')) == 1 then
  if now - int(f.last_progress_at) <= tonumber(ARGV[5]) then return { 'none' } end
  return give_up('stalled', 'failed', 'no progress for ' .. math.floor(ARGV[5] / 1000) .. ' seconds')
end

local stalled = 0
if int(f.done) == int(f.done_at_resume) then stalled = int(f.stalled) + 1 end
if stalled > tonumber(ARGV[7]) then
  return give_up('given_up', 'expired', 'given up after ' .. ARGV[7] .. ' resumes without progress')
end
redis.call('HINCRBY', rec, 'resumes', 1)
redis.call('HSET', rec, 'stalled', stalled, 'done_at_resume', int(f.done))
note(id, ARGV[1], 'warning', 'run resumed: its worker was lost', { worker = f.worker or '' })
queue(id, now, ttl, ARGV[1])
return answer('resume', id)
