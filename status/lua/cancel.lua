-- now keep keep_log by
local id = redis.call('GET', key('open'))
if not id then return { 'none' } end
note(id, ARGV[1], 'warning', 'run cancelled', { by = ARGV[4] })
close(id, 'cancelled', ARGV[1], ARGV[2], ARGV[3], 'cancelled_by', ARGV[4])
return answer('ok', id)
