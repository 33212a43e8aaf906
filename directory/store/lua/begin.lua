-- Marks the part as being written by a run, unless the part has changed since the run read the state.
-- KEYS: meta
-- ARGV: run read_at now birth seen_birth seen_generation seen_seq; seen_birth is '*' if nothing was read.
local run, read_at = ARGV[1], tonumber(ARGV[2])
local m = redis.call('HMGET', KEYS[1], 'run', 'read_at', 'birth', 'generation', 'run_seq')
if m[1] == run and m[2] == ARGV[2] then return { 'ok' } end
if m[2] and tonumber(m[2]) > read_at then return { 'newer', m[1] or '' } end
if ARGV[5] ~= '*' then
  if (m[3] or '') ~= ARGV[5] then return { 'lost' } end
  if (m[4] or '0') ~= ARGV[6] or tonumber(m[5] or '0') > tonumber(ARGV[7]) then return { 'changed' } end
end
redis.call('HSETNX', KEYS[1], 'birth', ARGV[4])
redis.call('HSET', KEYS[1], 'run', run, 'read_at', ARGV[2], 'since', ARGV[3])
return { 'ok' }
