-- seal_sum new_seal ttl [hash field value only_present ...]
-- Each value replaces that of its field, and an empty one deletes it. With a '1' at only_present, a field that is gone
-- stays gone. The answer is 'changed', and nothing is done, if
-- the seal is not the one with this SHA-1. An empty sum stands for no seal. An empty new seal leaves the seal as it is.
local seal = KEYS[1] .. 'seal'
if ARGV[2] ~= '' then
  local now = redis.call('GET', seal)
  if (now and redis.sha1hex(now) or '') ~= ARGV[1] then return { 'changed' } end
  redis.call('SET', seal, ARGV[2])
end
for at = 4, #ARGV, 4 do
  local key = KEYS[1] .. ARGV[at]
  if ARGV[at + 2] == '' then
    redis.call('HDEL', key, ARGV[at + 1])
  elseif ARGV[at + 3] ~= '1' or redis.call('HEXISTS', key, ARGV[at + 1]) == 1 then
    redis.call('HSET', key, ARGV[at + 1], ARGV[at + 2])
  end
end
redis.call('PEXPIRE', KEYS[1] .. 'decisions', ARGV[3])
return { 'ok' }
