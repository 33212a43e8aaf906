-- Shared by the scripts on the runs of one container.
local function record(id) return prefix .. 'run:' .. id end

-- answer returns a word and the fields of a run, flat. The id is included even if the record is gone.
local function answer(word, id)
  return { word, 'id', id, unpack(redis.call('HGETALL', record(id))) }
end

-- message returns the id of the next message. It is unique among the runs of the container, because a reader of all of
-- them goes on after it.
local function message()
  local ms, meta = clock(), key('meta')
  local last = redis.call('HMGET', meta, 'message_ms', 'message_seq')
  local seq = 0
  if int(last[1]) >= ms then ms, seq = int(last[1]), int(last[2]) + 1 end
  redis.call('HSET', meta, 'message_ms', string.format('%.0f', ms), 'message_seq', seq)
  return string.format('%.0f-%d', ms, seq)
end

-- note writes a message into the run's stream.
local function note(id, now, level, event, attributes)
  local rec = record(id)
  redis.call('XADD', rec .. ':log', 'MAXLEN', '~', 1000, message(), 'timestamp', now, 'level', level,
    'logger', 'rollcall.status', 'event', event, 'attributes', cjson.encode(attributes))
  redis.call('HINCRBY', rec, 'messages', 1)
end

-- holds reports whether the worker with this token may act on the run. No other worker may have the lease, and
-- the run must not have been handed on meanwhile. Where the lease has expired, only the worker that had it last may.
local function holds(id, epoch, token)
  local f = redis.call('HMGET', record(id), 'state', 'epoch', 'token')
  if redis.call('GET', key('open')) ~= id or f[1] ~= 'running' or f[2] ~= epoch then return false end
  local holder = redis.call('GET', key('lease'))
  return (holder or f[3] or token) == token
end

-- live makes the run live for another ttl.
local function live(id, now, ttl)
  redis.call('SET', key('run'), id, 'PX', ttl)
  redis.call('HSET', record(id), 'expires_at', now + ttl)
end

-- queue puts the run under a new epoch and has it wait for a worker.
local function queue(id, now, ttl, enqueued_at)
  redis.call('DEL', key('lease'))
  redis.call('HSET', record(id), 'state', 'queued', 'epoch', redis.call('HINCRBY', key('meta'), 'epoch', 1),
    'enqueued_at', enqueued_at)
  live(id, now, ttl)
end

-- promote opens the full run that was asked for while a delta run was live.
local function promote(now)
  local id = redis.call('GET', key('next'))
  if not id then return end
  redis.call('DEL', key('next'))
  if redis.call('HGET', record(id), 'state') ~= 'queued' then return end
  redis.call('SET', key('open'), id)
  redis.call('HSET', record(id), 'enqueued_at', 0)
  live(id, now, redis.call('HGET', record(id), 'run_ttl'))
end

-- close ends the open run. It updates its record, both keys and the summary of the container in one step.
local function close(id, state, now, keep, keep_log, ...)
  local rec = record(id)
  redis.call('HSET', rec, 'state', state, 'finished_at', now, 'kept_until', now + keep, ...)
  redis.call('DEL', key('run'), key('lease'), key('open'))
  redis.call('PEXPIRE', rec, keep)
  redis.call('PEXPIRE', rec .. ':log', keep_log)
  redis.call('RPUSH', key('ended'), id) -- for the metric of ended runs
  redis.call('LTRIM', key('ended'), -1000, -1)
  redis.call('PEXPIRE', key('ended'), keep)
  promote(now)
  local f = redis.call('HMGET', rec, 'dry_run', 'failed', 'held', 'read_at', 'paused')
  if f[1] == '1' then return end
  local meta = key('meta')
  redis.call('HSET', meta, 'last_id', id, 'last_state', state, 'last_at', now,
    'last_failed', int(f[2]), 'last_held', int(f[3]) + (f[5] and 1 or 0)) -- a paused run is no success
  if state ~= 'completed' or f[5] then return end
  redis.call('HDEL', meta, 'takes') -- the plan was carried out
  redis.call('HSET', meta, 'completed_id', id, 'completed_at', now)
  if redis.call('HGET', rec, 'changed') == '1' then redis.call('HSET', meta, 'mark:follow', id) end
  if f[4] then redis.call('HSET', meta, 'completed_read_at', f[4]) end
  if int(f[2]) == 0 and int(f[3]) == 0 then
    redis.call('HSET', meta, 'successful_id', id, 'successful_at', now)
  end
end

-- trim drops the oldest entries of an index, both those before since and those above the maximum. One call drops at
-- most 100 of each. Entries that are in a second index, too, are counted there and not here.
local function trim(index, records, since, max, apart)
  local function drop(ids)
    for _, id in ipairs(ids) do
      redis.call('DEL', records .. id, records .. id .. ':log', records .. id .. ':plan')
      redis.call('ZREM', index, id)
      if apart then redis.call('ZREM', apart, id) end
    end
  end
  drop(redis.call('ZRANGEBYSCORE', index, '-inf', '(' .. since, 'LIMIT', 0, 100))
  local over = redis.call('ZCARD', index) - max
  if apart then over = over - redis.call('ZCARD', apart) end
  if over <= 0 then return end
  local ids = {}
  for _, id in ipairs(redis.call('ZRANGE', index, 0, apart and -1 or over - 1)) do
    if #ids == math.min(over, 100) then break end
    if not apart or not redis.call('ZSCORE', apart, id) then table.insert(ids, id) end
  end
  drop(ids)
end

-- place returns the score of a new entry of an index. It is the time, or a little more if another entry has that score.
local function place(index, now)
  local newest = redis.call('ZREVRANGE', index, 0, 0, 'WITHSCORES')
  return math.max(int(now), int(newest[2]) + 1)
end

-- mark gets, sets or clears a mark and returns the value that it had. Only the given value is cleared. A mark is a field
-- of the container's record. Older versions stored it under a key of its own, which is still read.
local function mark(op, name, value)
  local field, legacy = 'mark:' .. name, key(name)
  local was = redis.call('HGET', key('meta'), field) or redis.call('GET', legacy) or ''
  if op == 'set' then
    redis.call('HSET', key('meta'), field, value)
    redis.call('DEL', legacy)
  elseif op == 'clear' and was == value then
    redis.call('HDEL', key('meta'), field)
    redis.call('DEL', legacy)
  end
  return was
end
