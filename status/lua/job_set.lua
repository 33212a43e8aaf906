-- id keep now counter | field value ...
-- counter is a field that grows by one, or empty.
-- A job that is over stays as it is. The record of an open job does not expire.
local id, rec = ARGV[1], key('job:' .. ARGV[1])
local state = redis.call('HGET', rec, 'state')
if not state then return { 'none' } end
local word = 'over'
if state ~= 'done' then
  redis.call('HSET', rec, unpack(ARGV, 5))
  if ARGV[4] ~= '' then redis.call('HINCRBY', rec, ARGV[4], 1) end
  word = 'ok'
  if redis.call('HGET', rec, 'state') == 'done' then
    redis.call('PEXPIRE', rec, ARGV[2])
    redis.call('ZREM', key('jobs:open'), id)
    redis.call('ZADD', key('jobs:done'), ARGV[3], id)
  else
    redis.call('PERSIST', rec)
  end
end
local out = redis.call('HGETALL', rec)
table.insert(out, 1, word)
return out
