-- slot job ttl keep
-- busy is the job that works on the entry. dirty are the jobs that arrived meanwhile. carried are the jobs that get the
-- result of busy.
local slot, job = ARGV[1], ARGV[2]
local busy, dirty, carried = key('busy:' .. slot), key('dirty:' .. slot), key('carried:' .. slot)
local rec, holder = key('job:' .. job), redis.call('GET', busy)
-- A holder that is done died before it left.
if holder and holder ~= job and redis.call('HGET', key('job:' .. holder), 'state') ~= 'done' then
  if redis.call('EXISTS', rec) == 1 then redis.call('HSET', rec, 'waits', holder) end
  redis.call('SADD', dirty, job)
  redis.call('PEXPIRE', dirty, ARGV[4])
  return { 'wait', holder }
end
redis.call('HDEL', rec, 'waits')
redis.call('SET', busy, job, 'PX', ARGV[3])
redis.call('SUNIONSTORE', carried, carried, dirty)
redis.call('DEL', dirty)
redis.call('SREM', carried, job)
redis.call('PEXPIRE', carried, ARGV[4])
-- unpack cannot pass the eight thousand jobs that may wait for one busy entry.
local out = redis.call('SMEMBERS', carried)
table.insert(out, 1, 'go')
return out
