-- Builds the index of data that was stored without one.
-- KEYS: meta digest gone find buckets head old-names old-index
-- ARGV: step builder now, and for "put": count, and for each entry:
--   field expected group-id group-head n-members index-members…
-- The step "start" empties the index, unless another builder began within a minute. The step "put" adds an entry that
-- is still the expected one; the expected text of a tombstone is the whole, that of an entry the head of its token.
-- It returns the entries that were written meanwhile, to be put again. Only their changes are in the index so far.
-- The step "leave" gives the index up. The step "finish" declares it complete, unless a writer that does not maintain
-- it has written meanwhile.
-- The fields index, index_seq and index_at are those of an earlier version, which builds another index of its own and
-- shares the heads. One of both builds at a time: without the field index the other builder gives up. The former
-- memberships, which no entry tells, are taken from that index.
local meta, digest, gone, find, buckets, heads = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local step, builder, now = ARGV[1], ARGV[2], tonumber(ARGV[3])
local m = redis.call('HMGET', meta, 'find', 'seq', 'find_seq', 'find_at', 'index', 'index_at', 'index_seq')
local function builds(name, at) return name and name ~= '1' and tonumber(at or '0') > now - 60000000 end
if step == 'start' then
  if builds(m[1], m[4]) or builds(m[5], m[6]) then return { 'busy' } end
  redis.call('UNLINK', find, buckets, heads)
  for i = 0, 4095 do redis.call('UNLINK', string.format('%s:%03x', find, i)) end
  if m[5] == '1' and m[7] == m[2] then
    for tag, after in pairs({ V = 'W', H = 'I' }) do
      local former = redis.call('ZRANGEBYLEX', KEYS[8], '[' .. tag, '(' .. after)
      for _, member in ipairs(former) do redis.call('ZADD', find, 0, member) end
    end
  end
  redis.call('HDEL', meta, 'index', 'index_seq', 'index_at')
  redis.call('HSET', meta, 'find', builder, 'find_at', ARGV[3], 'find_seq', m[2] or '0')
  return { 'ok' }
end
if m[1] ~= builder then return { 'taken' } end
if m[5] or step == 'leave' or step == 'finish' and (m[2] or '0') ~= m[3] then
  redis.call('HDEL', meta, 'find')
  return { 'overtaken' }
end
if step == 'finish' then
  redis.call('HSET', meta, 'find', '1')
  redis.call('ZADD', find, 0, '!') -- the index of entries without names has a member, too, so that its loss shows
  redis.call('UNLINK', KEYS[7], KEYS[8])
  return { 'ok' }
end
redis.call('HSET', meta, 'find_at', ARGV[3])
local at = 5
local function take()
  at = at + 1
  return ARGV[at - 1]
end
local out = { 'ok' }
for _ = 1, tonumber(ARGV[4]) do
  local field, expected, id, head = take(), take(), take(), take()
  local token = redis.call('HGET', digest, field)
  local same = redis.call('HGET', gone, field) == expected
  if token then same = string.sub(token, 1, #expected + 1) == expected .. ' ' end
  if token and not same then out[#out + 1] = field end
  if same and head ~= '' then redis.call('HSET', heads, id, head) end
  for _ = 1, tonumber(take()) do
    local member = take()
    if same then index_add(find, member) end
  end
end
index_flush(find, buckets)
return out
