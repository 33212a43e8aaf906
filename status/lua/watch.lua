-- worker ttl
-- One worker at a time polls a source. Returns the worker that does.
local holder = redis.call('GET', key('watch'))
if not holder or holder == ARGV[1] then
  redis.call('SET', key('watch'), ARGV[1], 'PX', ARGV[2])
  return { ARGV[1] }
end
return { holder }
