-- Builds the index of data that was stored without one.
-- KEYS: meta digest gone index head old-names
-- ARGV: step builder now, and for "put": count, and for each entry:
--   field expected group-id group-head n-members index-members…
-- The step "start" empties the index, unless another builder began within a minute. The step "put" adds an entry that
-- is still the expected one; the expected text of a tombstone is the whole, that of an entry the head of its token.
-- The step "finish" declares the index complete, unless a writer that does not maintain it has written meanwhile.
local meta, digest, gone, index, heads = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local step, builder, now = ARGV[1], ARGV[2], tonumber(ARGV[3])
local m = redis.call('HMGET', meta, 'index', 'seq', 'index_seq', 'index_at')
if step == 'start' then
  if m[1] and m[1] ~= '1' and tonumber(m[4] or '0') > now - 60000000 then return 'busy' end
  redis.call('UNLINK', index, heads)
  redis.call('HSET', meta, 'index', builder, 'index_at', ARGV[3], 'index_seq', m[2] or '0')
  return 'ok'
end
if m[1] ~= builder then return 'taken' end
if step == 'finish' then
  if (m[2] or '0') ~= m[3] then
    redis.call('HDEL', meta, 'index')
    return 'overtaken'
  end
  redis.call('HSET', meta, 'index', '1')
  redis.call('ZADD', index, 0, '!') -- the index of entries without names has a member, too, so that its loss shows
  redis.call('UNLINK', KEYS[6])
  return 'ok'
end
redis.call('HSET', meta, 'index_at', ARGV[3])
local at = 5
local function take()
  at = at + 1
  return ARGV[at - 1]
end
for _ = 1, tonumber(ARGV[4]) do
  local field, expected, id, head = take(), take(), take(), take()
  local token = redis.call('HGET', digest, field)
  local same = redis.call('HGET', gone, field) == expected
  if token then same = string.sub(token, 1, #expected + 1) == expected .. ' ' end
  if same and head ~= '' then redis.call('HSET', heads, id, head) end
  for _ = 1, tonumber(take()) do
    local member = take()
    if same then redis.call('ZADD', index, 0, member) end
  end
end
return 'ok'
