-- id epoch token now digest held | object:change count ...
local id, rec = ARGV[1], record(ARGV[1])
if not holds(id, ARGV[2], ARGV[3]) then return { 'stale' } end
for at = 7, #ARGV, 2 do
  local name = ARGV[at]
  local f = redis.call('HMGET', rec, 's:' .. name, 'f:' .. name)
  local total = int(f[1]) + int(f[2]) + int(ARGV[at + 1])
  if total > 0 then redis.call('HSET', rec, 'e:' .. name, total) else redis.call('HDEL', rec, 'e:' .. name) end
end
redis.call('HSET', rec, 'plan_digest', ARGV[5], 'held', ARGV[6], 'planned_at', ARGV[4], 'last_progress_at', ARGV[4],
  'done_at_plan', int(redis.call('HGET', rec, 'done')))
return { 'ok' }
