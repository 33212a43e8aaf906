-- op (get, set or clear) mark value
return { mark(ARGV[1], ARGV[2], ARGV[3]) }
