-- entry pin [entry pin ...]
-- Each pin takes the place of the entry's; an empty one ends it. A pin that is not there any more was lifted meanwhile by a
-- person, and stays so.
local pins = KEYS[1] .. 'pins'
for at = 1, #ARGV, 2 do
  if ARGV[at + 1] == '' then
    redis.call('HDEL', pins, ARGV[at])
  elseif redis.call('HEXISTS', pins, ARGV[at]) == 1 then
    redis.call('HSET', pins, ARGV[at], ARGV[at + 1])
  end
end
return { 'ok' }
