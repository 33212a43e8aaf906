-- How the index is written. A member that begins with a zero byte is a field of a bucket; see bucket.go.
local known = {} -- the buckets that exist

-- Adds a member to the index.
local function index_add(find, buckets, member)
  if string.byte(member) ~= 0 then return redis.call('ZADD', find, 0, member) end
  local digits = string.sub(member, 2, 4)
  local key = find .. ':' .. digits
  if not known[digits] then
    if redis.call('SETBIT', buckets, tonumber(digits, 16), 1) == 0 then redis.call('HSET', key, '!', '') end
    known[digits] = true
  end
  redis.call('HSET', key, string.sub(member, 5), '')
end

-- Deletes a member of the index.
local function index_drop(find, member)
  if string.byte(member) ~= 0 then return redis.call('ZREM', find, member) end
  redis.call('HDEL', find .. ':' .. string.sub(member, 2, 4), string.sub(member, 5))
end

