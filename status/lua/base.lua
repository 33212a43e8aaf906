-- Shared by every script on one container. KEYS[1] is the key prefix of the container; every key is built from it and
-- so has its hash tag, and a script never leaves its slot. Times are milliseconds and come as arguments.
local prefix = KEYS[1]
local function key(name) return prefix .. name end
local function int(s) return tonumber(s or 0) or 0 end

-- clock returns the time of Redis.
local function clock()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- counting returns the digest with the highest generation among those of live workers, and that generation. The second
-- digest is the one of a worker. Both are nil without such a worker.
local function counting(worker)
  local best, highest, its, generations = nil, 0, nil, {}
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', key('configured'), string.format('%.0f', clock()), '+inf')) do
    local digest, name = string.match(member, '^(%S+) (.*)$')
    local generation = generations[digest] or int(redis.call('HGET', key('configurations'), digest))
    generations[digest] = generation
    if generation > highest then best, highest = digest, generation end
    if name == worker then its = digest end
  end
  return best, highest, its
end
