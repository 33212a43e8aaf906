-- id epoch token now digest held read_at leaver_since reasons follow takes | reason count ... | object:change count ...
-- read_at is 0 for a plan that is carried out only in part. follow is 1 if other containers have to follow the changes
-- that are about to be written.
local id, rec = ARGV[1], record(ARGV[1])
if not holds(id, ARGV[2], ARGV[3]) then return { 'stale' } end
local from = 12 + 2 * tonumber(ARGV[9])
for at = from, #ARGV, 2 do
  local name = ARGV[at]
  local f = redis.call('HMGET', rec, 's:' .. name, 'f:' .. name)
  local total = int(f[1]) + int(f[2]) + int(ARGV[at + 1])
  if total > 0 then redis.call('HSET', rec, 'e:' .. name, total) else redis.call('HDEL', rec, 'e:' .. name) end
end
redis.call('HSET', rec, 'plan_digest', ARGV[5], 'held', ARGV[6], 'planned_at', ARGV[4], 'last_progress_at', ARGV[4],
  'done_at_plan', int(redis.call('HGET', rec, 'done')), 'takes', ARGV[11])
redis.call('HSET', key('meta'), 'takes', ARGV[11])
if ARGV[7] ~= '0' then redis.call('HSET', rec, 'read_at', ARGV[7]) end
if redis.call('HGET', rec, 'dry_run') == '1' then return { 'ok' } end

-- The facts of the newest plan about the container outlive the run.
local meta, reasons = key('meta'), key('conflicts')
redis.call('HSET', meta, 'leaver_since', ARGV[8])
if ARGV[7] ~= '0' then redis.call('HSET', meta, 'read_at', ARGV[7]) end
redis.call('DEL', reasons)
if from > 12 then redis.call('HSET', reasons, unpack(ARGV, 12, from - 1)) end
if ARGV[10] == '1' then redis.call('HSET', meta, 'mark:follow', id) end
return { 'ok' }
