-- Deletes the tombstones that have not changed since they were judged.
-- KEYS: gone name meta
-- ARGV: now count, and for each: ref id tombstone n-names names…
local at = 3
local function take()
  at = at + 1
  return ARGV[at - 1]
end
for _ = 1, tonumber(ARGV[2]) do
  local ref, id, text = take(), take(), take()
  local same = redis.call('HGET', KEYS[1], ref) == text
  if same then redis.call('HDEL', KEYS[1], ref) end
  for _ = 1, tonumber(take()) do
    local name, left = take(), {}
    for other in string.gmatch(redis.call('HGET', KEYS[2], name) or '', '[^\n]+') do
      if other ~= id then left[#left + 1] = other end
    end
    if same and #left == 0 then
      redis.call('HDEL', KEYS[2], name)
    elseif same then
      redis.call('HSET', KEYS[2], name, table.concat(left, '\n'))
    end
  end
end
redis.call('HSET', KEYS[3], 'trimmed_at', ARGV[1])
return 'ok'
