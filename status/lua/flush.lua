-- id epoch token now seq max_messages increments | field delta ... | timestamp level logger event attributes ...
local id, rec = ARGV[1], record(ARGV[1])
-- The last holder may report its work even after a cancel, until another worker takes the run.
if not holds(id, ARGV[2], ARGV[3]) and redis.call('HGET', rec, 'token') ~= ARGV[3] then return { 'stale' } end
-- A call that is repeated after a lost response writes nothing.
if int(redis.call('HGET', rec, 'flush')) >= tonumber(ARGV[5]) then return { 'ok' } end
redis.call('HSET', rec, 'flush', ARGV[5])

local at = 8
for _ = 1, tonumber(ARGV[7]) do
  redis.call('HINCRBY', rec, ARGV[at], ARGV[at + 1])
  at = at + 2
end
if at > 8 then redis.call('HSET', rec, 'last_progress_at', ARGV[4]) end

local count = 0
while at <= #ARGV do
  redis.call('XADD', rec .. ':log', 'MAXLEN', '~', ARGV[6], message(), 'timestamp', ARGV[at], 'level', ARGV[at + 1],
    'logger', ARGV[at + 2], 'event', ARGV[at + 3], 'attributes', ARGV[at + 4])
  at, count = at + 5, count + 1
end
if count > 0 then
  redis.call('HINCRBY', rec, 'messages', count)
  local left = redis.call('PTTL', rec) -- a closed run
  if left > 0 and redis.call('PTTL', rec .. ':log') < 0 then redis.call('PEXPIRE', rec .. ':log', left) end
end
return { 'ok' }
