-- n limit minute since ttl kind claim
-- n is 1 to claim a change, 0 to settle a change that was made, and -1 to take a claim back. An empty kind returns the
-- totals. The spent budget is summed by kind and minute. The zset orders the sums by time, one hash has the sums, and
-- another has the totals by kind. Sums outside the window are subtracted from the totals first. A claim names a change
-- that is about to be made. It is counted once, however often the change is begun.
local function key(name) return KEYS[1] .. name end
local function int(s) return tonumber(s or 0) or 0 end
local n, limit, minute, kind, claim = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], ARGV[6], ARGV[7]
local times, sums, totals, claims = key('spent'), key('spent:sums'), key('spent:totals'), key('spent:claims')
for _, old in ipairs(redis.call('ZRANGEBYSCORE', times, '-inf', '(' .. ARGV[4])) do
  local of = string.match(old, '^(.*)@%d+$')
  if redis.call('HINCRBY', totals, of, -int(redis.call('HGET', sums, old))) <= 0 then redis.call('HDEL', totals, of) end
  redis.call('HDEL', sums, old)
  redis.call('ZREM', times, old)
end

if kind == '' then
  local out = redis.call('HGETALL', totals)
  table.insert(out, 1, 'ok')
  return out
end

local since = redis.call('HGET', claims, claim)
local counted = since and tonumber(since) >= tonumber(ARGV[4])
if n <= 0 then redis.call('HDEL', claims, claim) end
if n == 1 and not counted then
  if int(redis.call('HGET', totals, kind)) + 1 > limit then return { 'over' } end
  redis.call('HINCRBY', sums, kind .. '@' .. minute, 1)
  redis.call('HINCRBY', totals, kind, 1)
  redis.call('ZADD', times, minute, kind .. '@' .. minute)
  redis.call('HSET', claims, claim, minute)
  for _, name in ipairs({ times, sums, totals, claims }) do redis.call('PEXPIRE', name, ARGV[5]) end
elseif n == -1 and counted then
  local sum = kind .. '@' .. since
  if int(redis.call('HGET', sums, sum)) > 0 then
    redis.call('HINCRBY', sums, sum, -1)
    if redis.call('HINCRBY', totals, kind, -1) <= 0 then redis.call('HDEL', totals, kind) end
  end
end
return { 'ok' }
