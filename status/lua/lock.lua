-- slot lock_token ttl lease_token ('' = not fenced)
local lease = ARGV[4]
if lease ~= '' and redis.call('GET', key('lease')) ~= lease then return { 'stale' } end
local name, mine = key('entry:' .. ARGV[1]), lease .. '|' .. ARGV[2]
if redis.call('SET', name, mine, 'NX', 'PX', ARGV[3]) then return { 'ok' } end
local held = redis.call('GET', name)
if held == mine then return { 'ok' } end -- already ours, the response was lost
-- A lock of a run without a lease was left by a worker that died. The worker with the present lease takes it over.
if lease ~= '' and held and string.sub(held, 1, 1) ~= '|' and string.sub(held, 1, #lease + 1) ~= lease .. '|' then
  redis.call('SET', name, mine, 'PX', ARGV[3])
  return { 'ok' }
end
return { 'busy' }
