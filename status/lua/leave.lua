-- slot job ttl keep answered
-- answered is 1 if the job and its carried jobs have their result, and 0 if the job is retried and they stay carried.
local slot, job = ARGV[1], ARGV[2]
local busy, dirty, carried = key('busy:' .. slot), key('dirty:' .. slot), key('carried:' .. slot)
if redis.call('GET', busy) ~= job then return { 'stale' } end
if ARGV[5] == '0' then
  redis.call('DEL', busy)
  return { 'done' }
end
redis.call('DEL', carried)
if redis.call('EXISTS', dirty) == 0 then
  redis.call('DEL', busy)
  return { 'done' }
end
redis.call('RENAME', dirty, carried)
redis.call('PEXPIRE', carried, ARGV[4])
redis.call('SET', busy, job, 'PX', ARGV[3])
local out = redis.call('SMEMBERS', carried)
table.insert(out, 1, 'again')
return out
