-- How the index is written. A member that begins with a zero byte is a field of a bucket; see bucket.go.
local fields = {} -- what is added to each bucket, with empty values

-- Adds a member to the index, at the latest by index_flush.
local function index_add(find, member)
  if string.byte(member) ~= 0 then return redis.call('ZADD', find, 0, member) end
  local digits = string.sub(member, 2, 4)
  local list = fields[digits] or {}
  fields[digits] = list
  list[#list + 1] = string.sub(member, 5)
  list[#list + 1] = ''
end

-- Adds what index_add gathered, with one command for each bucket, or more for very many fields.
local function index_flush(find, buckets)
  for digits, list in pairs(fields) do
    local key = find .. ':' .. digits
    if redis.call('SETBIT', buckets, tonumber(digits, 16), 1) == 0 then redis.call('HSET', key, '!', '') end
    for i = 1, #list, 1000 do redis.call('HSET', key, unpack(list, i, math.min(i + 999, #list))) end
  end
end

-- Deletes a member of the index.
local function index_drop(find, member)
  if string.byte(member) ~= 0 then return redis.call('ZREM', find, member) end
  redis.call('HDEL', find .. ':' .. string.sub(member, 2, 4), string.sub(member, 5))
end

