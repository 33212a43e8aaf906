-- op (get, set or clear) mark value
-- A mark is a field of the container's record. Older versions stored it under a key of its own, which is still read.
local op, field, legacy = ARGV[1], 'mark:' .. ARGV[2], key(ARGV[2])
local now = redis.call('HGET', key('meta'), field) or redis.call('GET', legacy) or ''
if op == 'set' then
  redis.call('HSET', key('meta'), field, ARGV[3])
  redis.call('DEL', legacy)
elseif op == 'clear' and now == ARGV[3] then
  redis.call('HDEL', key('meta'), field)
  redis.call('DEL', legacy)
end
return { now }
