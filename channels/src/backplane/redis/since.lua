-- ARGV: the epoch of a life that begins; how many messages are kept, how many bytes, and for how many milliseconds; and after which
-- offset messages are wanted, or nothing, for all.
local after = tonumber(ARGV[5])

trim()
save()
local wanted = length
if after then
    wanted = math.min(length, offset - after)
end
local messages = {}
if wanted > 0 then
    messages = redis.call('LRANGE', log, -2 * wanted, -1)
end
return {epoch, offset, now, messages}
