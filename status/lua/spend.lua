-- n (negative: a refund) limit ('' = none) minute since ttl kind claim ('' = none)
-- What was spent is summed by kind and minute: the zset orders the sums by time, one hash holds them, another their
-- totals by kind. Sums that left the window are taken off the totals first. A claim names what is about to be made: it is
-- counted once, however often it is begun; n = 0 says that it was made.
local n, limit, minute, kind, claim = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[6], ARGV[7]
local times, sums, totals, claims = key('spent'), key('spent:sums'), key('spent:totals'), key('spent:claims')
for _, old in ipairs(redis.call('ZRANGEBYSCORE', times, '-inf', '(' .. ARGV[4])) do
  local of = string.match(old, '^(.*)@%d+$')
  if redis.call('HINCRBY', totals, of, -int(redis.call('HGET', sums, old))) <= 0 then redis.call('HDEL', totals, of) end
  redis.call('HDEL', sums, old)
  redis.call('ZREM', times, old)
end

if kind ~= '' then
  local total = int(redis.call('HGET', totals, kind))
  if claim ~= '' then
    local since = redis.call('HGET', claims, claim)
    local counted = since and tonumber(since) >= tonumber(ARGV[4])
    if n > 0 and counted then return { 'ok', kind, tostring(total) } end
    if n < 0 and not counted then return { 'ok', kind, tostring(total) } end
    if n < 0 then minute = since end
    if n <= 0 then redis.call('HDEL', claims, claim) end
  end
  if limit ~= '' and total + n > tonumber(limit) then return { 'over', kind, tostring(total) } end
  if n < 0 then -- a refund: of what was spent in that minute, no more
    n = -math.min(-n, int(redis.call('HGET', sums, kind .. '@' .. minute)))
    if n < 0 then
      redis.call('HINCRBY', sums, kind .. '@' .. minute, n)
      if redis.call('HINCRBY', totals, kind, n) <= 0 then redis.call('HDEL', totals, kind) end
    end
  elseif n > 0 then
    redis.call('HINCRBY', sums, kind .. '@' .. minute, n)
    redis.call('HINCRBY', totals, kind, n)
    redis.call('ZADD', times, minute, kind .. '@' .. minute)
    if claim ~= '' then redis.call('HSET', claims, claim, minute) end
    for _, name in ipairs({ times, sums, totals, claims }) do redis.call('PEXPIRE', name, ARGV[5]) end
  end
  return { 'ok', kind, tostring(total + n) }
end
local out = redis.call('HGETALL', totals)
table.insert(out, 1, 'ok')
return out
