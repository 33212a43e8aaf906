-- id now keep max since | field value ...
local id, index = ARGV[1], key('jobs')
local rec = key('job:' .. id)
if redis.call('EXISTS', rec) == 0 then
  trim(index, key('job:'), ARGV[5], tonumber(ARGV[4]) - 1)
  local seq = place(index, ARGV[2])
  redis.call('HSET', rec, 'id', id, 'state', 'queued', 'created_at', ARGV[2], 'seq', seq, unpack(ARGV, 6))
  redis.call('ZADD', index, seq, id)
  redis.call('PEXPIRE', rec, ARGV[3])
end
local out = redis.call('HGETALL', rec)
table.insert(out, 1, 'ok')
return out
