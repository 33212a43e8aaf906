-- seal_sum new_seal ttl [hash field value ...]
-- Each value replaces that of its field, and an empty one deletes it. The answer is 'changed', and nothing is done, if
-- the seal is not the one with this SHA-1. An empty sum stands for no seal. An empty new seal leaves the seal as it is.
local seal = KEYS[1] .. 'seal'
if ARGV[2] ~= '' then
  local now = redis.call('GET', seal)
  if (now and redis.sha1hex(now) or '') ~= ARGV[1] then return { 'changed' } end
  redis.call('SET', seal, ARGV[2])
end
for at = 4, #ARGV, 3 do
  local key = KEYS[1] .. ARGV[at]
  if ARGV[at + 2] == '' then
    redis.call('HDEL', key, ARGV[at + 1])
  else
    redis.call('HSET', key, ARGV[at + 1], ARGV[at + 2])
  end
end
redis.call('PEXPIRE', KEYS[1] .. 'decisions', ARGV[3])
return { 'ok' }
