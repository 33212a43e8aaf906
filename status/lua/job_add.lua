-- id now keep max since max_open | field value ...
-- jobs: every job. jobs:open: those without an outcome. jobs:done: the others, by the time of their outcome. Only jobs that
-- are done are trimmed.
local id, index, open, done = ARGV[1], key('jobs'), key('jobs:open'), key('jobs:done')
local rec = key('job:' .. id)
if redis.call('EXISTS', rec) == 0 then
  if redis.call('ZCARD', open) >= tonumber(ARGV[6]) then return { 'full' } end
  local function drop(ids)
    for _, old in ipairs(ids) do
      redis.call('DEL', key('job:' .. old))
      redis.call('ZREM', index, old)
      redis.call('ZREM', done, old)
    end
  end
  drop(redis.call('ZRANGEBYSCORE', done, '-inf', '(' .. ARGV[5], 'LIMIT', 0, 100))
  local over = redis.call('ZCARD', done) - tonumber(ARGV[4])
  if over > 0 then drop(redis.call('ZRANGE', done, 0, math.min(over, 100) - 1)) end
  local seq = place(index, ARGV[2])
  redis.call('HSET', rec, 'id', id, 'state', 'queued', 'created_at', ARGV[2], 'seq', seq, unpack(ARGV, 7))
  redis.call('ZADD', index, seq, id)
  redis.call('ZADD', open, seq, id)
end
local out = redis.call('HGETALL', rec)
table.insert(out, 1, 'ok')
return out
