-- Deletes the tombstones that have not changed since they were judged, with their names, and what earlier versions have
-- left of their indexes.
-- KEYS: gone meta find old-names old-index
-- ARGV: now count, and for each: ref tombstone n-names index-members…
local at = 3
local function take()
  at = at + 1
  return ARGV[at - 1]
end
for _ = 1, tonumber(ARGV[2]) do
  local ref, text = take(), take()
  local same = redis.call('HGET', KEYS[1], ref) == text
  if same then redis.call('HDEL', KEYS[1], ref) end
  for _ = 1, tonumber(take()) do
    local member = take()
    if same then index_drop(KEYS[3], member) end
  end
end
redis.call('UNLINK', KEYS[4], KEYS[5])
redis.call('HDEL', KEYS[2], 'index', 'index_seq', 'index_at', 'shown')
redis.call('HSET', KEYS[2], 'trimmed_at', ARGV[1])
return 'ok'
