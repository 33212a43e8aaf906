-- id epoch token now draft index max keep max_bytes
-- The draft becomes the plan of the run. A resumed run has an earlier plan, which is kept as plan:1, plan:2 … if it
-- had changes to apply, because some of them were applied and may have to be undone. Each index keeps the newest max plans.
-- Both together keep as many as max_bytes allow, and always the newest.
local id, now, draft, keep = ARGV[1], tonumber(ARGV[4]), ARGV[5], tonumber(ARGV[8])
local rec = record(id)
if not holds(id, ARGV[2], ARGV[3]) then
  redis.call('DEL', draft)
  return { 'stale' }
end
if redis.call('EXISTS', draft) == 1 then -- otherwise repeated after a lost response
  local plan = rec .. ':plan'
  local earlier = int(redis.call('HGET', plan, 'earlier'))
  local bytes = int(redis.call('HGET', draft, 'bytes'))
  if redis.call('HGET', plan, 'idle') == '0' then
    earlier = earlier + 1
    redis.call('RENAME', plan, plan .. ':' .. earlier)
  end
  if earlier > 0 then
    redis.call('HSET', draft, 'earlier', earlier)
    bytes = bytes + int(redis.call('HGET', plan .. ':' .. earlier, 'bytes'))
    redis.call('HSET', draft, 'bytes', bytes)
  end
  redis.call('RENAME', draft, plan)
  for n = 1, earlier do redis.call('PEXPIRE', plan .. ':' .. n, keep) end
end
redis.call('PEXPIRE', rec .. ':plan', keep)

local all, names = {}, { 'plans', 'plans:idle' }
if ARGV[6] == 'plans:delta' then names = { 'plans:delta' } end
for _, name in ipairs(names) do
  local index = key(name)
  redis.call('ZREM', index, id)
  if name == ARGV[6] then redis.call('ZADD', index, now, id) end
  redis.call('PEXPIRE', index, keep)
  local found = redis.call('ZREVRANGE', index, 0, -1, 'WITHSCORES')
  for at = 1, #found, 2 do
    table.insert(all, { index = index, id = found[at], score = tonumber(found[at + 1]), place = (at + 1) / 2 })
  end
end
table.sort(all, function(a, b)
  if a.score ~= b.score then return a.score > b.score end
  return a.id == id and b.id ~= id
end)
local total = 0
for n, p in ipairs(all) do
  local plan = record(p.id) .. ':plan'
  local bytes = int(redis.call('HGET', plan, 'bytes'))
  if n > 1 and (p.place > tonumber(ARGV[7]) or p.score < now - keep or total + bytes > tonumber(ARGV[9])) then
    for e = 1, int(redis.call('HGET', plan, 'earlier')) do redis.call('DEL', plan .. ':' .. e) end
    redis.call('DEL', plan)
    redis.call('ZREM', p.index, p.id)
  else
    total = total + bytes
  end
end
return { 'ok' }
