-- Keeps the newest attempts of each entry in a list, and drops those of long ago.
-- KEYS: list
-- ARGV: how many attempts of an entry are kept, for how many milliseconds, and the earliest time
local all, counts, keep = redis.call('LRANGE', KEYS[1], 0, -1), {}, {}
for _, line in ipairs(all) do
  local entry, at = string.match(line, '^([^\t]*)\t([^\t]*)')
  if entry then
    counts[entry] = (counts[entry] or 0) + 1
    if counts[entry] <= tonumber(ARGV[1]) and (tonumber(at, 36) or 0) >= tonumber(ARGV[3]) then keep[#keep + 1] = line end
  end
end
if #keep < #all then
  redis.call('DEL', KEYS[1])
  for at = 1, #keep, 1000 do redis.call('RPUSH', KEYS[1], unpack(keep, at, math.min(#keep, at + 999))) end
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return #keep
