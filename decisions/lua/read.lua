-- [hash ...]
-- The answer is the seal, the noted loss and the records of these hashes, all read at one moment. A transaction would do
-- the same, but Redis refuses every transaction while its memory is full.
local out = { 'ok', redis.call('GET', KEYS[1] .. 'seal') or '', redis.call('GET', KEYS[1] .. 'floor') or '' }
for _, hash in ipairs(ARGV) do
  for i, text in ipairs(redis.call('HGETALL', KEYS[1] .. hash)) do
    out[#out + 1] = i % 2 == 1 and hash .. '/' .. text or text
  end
end
return out
