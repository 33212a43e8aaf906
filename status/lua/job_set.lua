-- id keep | field value ...
-- A finished job does not change.
local rec = key('job:' .. ARGV[1])
local state = redis.call('HGET', rec, 'state')
if not state then return { 'none' } end
local word = 'over'
if state ~= 'done' then
  redis.call('HSET', rec, unpack(ARGV, 3))
  redis.call('PEXPIRE', rec, ARGV[2])
  word = 'ok'
end
local out = redis.call('HGETALL', rec)
table.insert(out, 1, word)
return out
