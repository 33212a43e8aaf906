-- Deletes the tombstones that have not changed since they were judged, with their names.
-- KEYS: gone index meta
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
    if same then redis.call('ZREM', KEYS[2], member) end
  end
end
redis.call('HSET', KEYS[3], 'trimmed_at', ARGV[1])
return 'ok'
