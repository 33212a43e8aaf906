-- Writes each entry if its token is still the one that the writer read.
-- KEYS: meta user group digest gone name
-- ARGV: run read_at birth count, and for each entry:
--   ref id key expected-token token-head text counts n-names-to-drop names… n-names-to-add names…
-- An empty run is an object job. An empty token-head deletes the entry, and the text is then the tombstone. Returns a
-- word, and "written" or "moved" for each entry.
local meta, digest, gone, index = KEYS[1], KEYS[4], KEYS[5], KEYS[6]
local mark = redis.call('HMGET', meta, 'run', 'read_at')
if ARGV[1] ~= '' then
  if not mark[1] then return { 'lost' } end
  if mark[1] ~= ARGV[1] or mark[2] ~= ARGV[2] then return { 'taken', mark[1] } end
elseif mark[2] and tonumber(mark[2]) > tonumber(ARGV[2]) then
  return { 'stale' }
end
redis.call('HSETNX', meta, 'birth', ARGV[3])
local seq = redis.call('HINCRBY', meta, 'seq', 1)
if ARGV[1] ~= '' then redis.call('HSET', meta, 'run_seq', seq) end

local at = 5
local function take()
  at = at + 1
  return ARGV[at - 1]
end

local function drop(name, id)
  local left = {}
  for other in string.gmatch(redis.call('HGET', index, name) or '', '[^\n]+') do
    if other ~= id then left[#left + 1] = other end
  end
  if #left == 0 then
    redis.call('HDEL', index, name)
  else
    redis.call('HSET', index, name, table.concat(left, '\n'))
  end
end

local function add(name, id)
  local ids = redis.call('HGET', index, name)
  if ids and ids ~= id then
    drop(name, id)
    ids = redis.call('HGET', index, name)
  end
  redis.call('HSET', index, name, (ids and ids ~= id) and (ids .. '\n' .. id) or id)
end

local out, changes = { 'ok' }, 0
for _ = 1, tonumber(ARGV[4]) do
  local ref, id, kind, expected, head, text, counts = take(), take(), take(), take(), take(), take(), take()
  local same = (redis.call('HGET', digest, ref) or '') == expected
  for _ = 1, tonumber(take()) do
    local name = take()
    if same then drop(name, id) end
  end
  for _ = 1, tonumber(take()) do
    local name = take()
    if same then add(name, id) end
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
    if born ~= 0 then redis.call('HINCRBY', meta, kind .. 's', born) end
    changes = changes + tonumber(counts)
    out[#out + 1] = 'written'
  end
end
if changes > 0 then redis.call('HINCRBY', meta, 'changes', changes) end
return out
