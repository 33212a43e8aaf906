-- Clears the mark of a run and raises the generation if anything changed since the last commit.
-- KEYS: meta
-- ARGV: run read_at now
-- Returns ok, whether something changed (0 or 1), and when tombstones were last trimmed. Otherwise returns why not.
local m = redis.call('HMGET', KEYS[1], 'run', 'read_at', 'changes', 'generation', 'last_run', 'last_changed',
  'trimmed_at')
-- A call that is repeated after a lost response gets the same result.
if not m[1] and m[5] == ARGV[1] and m[2] == ARGV[2] then return { 'ok', m[6], m[7] or '0' } end
if not m[1] then return { 'lost' } end
if m[1] ~= ARGV[1] or m[2] ~= ARGV[2] then return { 'taken', m[1] } end
local changed = '0'
if not m[4] or tonumber(m[3] or '0') > 0 then
  changed = '1'
  redis.call('HINCRBY', KEYS[1], 'generation', 1)
end
redis.call('HDEL', KEYS[1], 'run', 'since', 'changes')
redis.call('HSET', KEYS[1], 'completed_at', ARGV[3], 'completed_read_at', ARGV[2], 'last_run', ARGV[1],
  'last_changed', changed)
return { 'ok', changed, m[7] or '0' }
