-- entry pin [entry pin ...]
-- Each pin replaces that of its entry, and an empty one ends it. A pin that no longer exists was lifted by an operator
-- meanwhile and stays lifted.
local pins = KEYS[1] .. 'pins'
for at = 1, #ARGV, 2 do
  if ARGV[at + 1] == '' then
    redis.call('HDEL', pins, ARGV[at])
  elseif redis.call('HEXISTS', pins, ARGV[at]) == 1 then
    redis.call('HSET', pins, ARGV[at], ARGV[at + 1])
  end
end
return { 'ok' }
