-- Writes each entry if its token is still the one that the writer read, together with its part of the index.
-- KEYS: meta user group digest gone find buckets head
-- ARGV: run read_at birth count, and for each entry:
--   ref id key expected-token token-head text group-head counts n-drop index-members… n-add index-members…
-- An empty run is an object job. An empty token-head deletes the entry, and the text is then the tombstone. The
-- group-head is the text of a group without its members. Returns a word, and "written" or "moved" for each entry.
local meta, digest, gone, find, buckets, heads = KEYS[1], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local mark = redis.call('HMGET', meta, 'run', 'read_at', 'find_seq')
if ARGV[1] ~= '' then
  if not mark[1] then return { 'lost' } end
  if mark[1] ~= ARGV[1] or mark[2] ~= ARGV[2] then return { 'taken', mark[1] } end
elseif mark[2] and tonumber(mark[2]) > tonumber(ARGV[2]) then
  return { 'stale' }
end
redis.call('HSETNX', meta, 'birth', ARGV[3])
local seq = redis.call('HINCRBY', meta, 'seq', 1)
if ARGV[1] ~= '' then redis.call('HSET', meta, 'run_seq', seq) end
-- The index is complete as long as every write since it was built has maintained it.
if seq == 1 then
  redis.call('HSET', meta, 'find', '1', 'find_seq', seq)
  redis.call('ZADD', find, 0, '!') -- see index.lua
elseif mark[3] and tonumber(mark[3]) == seq - 1 then
  redis.call('HSET', meta, 'find_seq', seq)
end

local at = 5
local function take()
  at = at + 1
  return ARGV[at - 1]
end

local out, changes = { 'ok' }, 0
for _ = 1, tonumber(ARGV[4]) do
  local ref, id, kind, expected, head, text = take(), take(), take(), take(), take(), take()
  local group_head, counts = take(), take()
  local same = (redis.call('HGET', digest, ref) or '') == expected
  for _ = 1, tonumber(take()) do
    local member = take()
    if same then index_drop(find, member) end
  end
  for _ = 1, tonumber(take()) do
    local member = take()
    if same then index_add(find, member) end
  end
  if not same then
    out[#out + 1] = 'moved'
  else
    local key = kind == 'user' and KEYS[2] or KEYS[3]
    local born
    if head == '' then
      born = -redis.call('HDEL', key, id)
      redis.call('HDEL', digest, ref)
      redis.call('HSET', gone, ref, text)
    else
      born = redis.call('HSET', key, id, text)
      redis.call('HSET', digest, ref, head .. ' ' .. seq)
      redis.call('HDEL', gone, ref)
    end
    if group_head ~= '' then
      redis.call('HSET', heads, id, group_head)
    elseif kind == 'group' then
      redis.call('HDEL', heads, id)
    end
    if born ~= 0 then redis.call('HINCRBY', meta, kind .. 's', born) end
    changes = changes + tonumber(counts)
    out[#out + 1] = 'written'
  end
end
index_flush(find, buckets)
if changes > 0 then redis.call('HINCRBY', meta, 'changes', changes) end
return out
