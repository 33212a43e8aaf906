-- slot job ttl keep
-- busy: the job that works on the entry. dirty: the jobs that came meanwhile. carried: those it answers for.
local slot, job = ARGV[1], ARGV[2]
local busy, dirty, carried = key('busy:' .. slot), key('dirty:' .. slot), key('carried:' .. slot)
local holder = redis.call('GET', busy)
if holder and holder ~= job then
  redis.call('SADD', dirty, job)
  redis.call('PEXPIRE', dirty, ARGV[4])
  return { 'wait', holder }
end
redis.call('SET', busy, job, 'PX', ARGV[3])
redis.call('SUNIONSTORE', carried, carried, dirty)
redis.call('DEL', dirty)
redis.call('SREM', carried, job)
redis.call('PEXPIRE', carried, ARGV[4])
-- No unpack: it cannot take the eight thousand that one busy entry may have waiting.
local out = redis.call('SMEMBERS', carried)
table.insert(out, 1, 'go')
return out
