-- ARGV, behind those: after which epoch and offset messages are wanted; of another epoch, all are.
local known, after = ARGV[6], tonumber(ARGV[7])

trim()
save()
local wanted = length
if known == epoch then
    wanted = math.min(length, offset - after)
end
local messages = {}
if wanted > 0 then
    messages = redis.call('LRANGE', log, -2 * wanted, -1)
end
return {epoch, offset, now, messages}
