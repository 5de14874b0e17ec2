-- A topic: `epoch`, `offset`, and how many messages its log has, and how many bytes they have, `length` and `size`.
-- ARGV: the epoch of a life that begins; how many messages are kept, how many bytes, and for how many milliseconds; and which life of
-- the broker this is.
local at, log = KEYS[1], KEYS[2]
local entries, bytes, time = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local epoch, offset, size, run = unpack(redis.call('HMGET', at, 'e', 'o', 'b', 'r'))
-- A broker that has begun anew, or another one in its place, may not have all that the one before had.
if not epoch or run ~= ARGV[5] then
    epoch, offset, size = ARGV[1], 0, 0
    redis.call('DEL', log)
end
offset, size = tonumber(offset), tonumber(size)
local length = redis.call('LLEN', log) / 2
if length == 0 then
    size = 0
end

-- Forgets what is too much, or too old.
local function trim()
    while length > 0 do
        local came, len = string.match(redis.call('LINDEX', log, 0), '^(%d+) (%d+)$')
        if length <= entries and size <= bytes and tonumber(came) + time > now then
            return
        end
        redis.call('LTRIM', log, 2, -1)
        length, size = length - 1, size - tonumber(len)
    end
end

local function save()
    redis.call('HSET', at, 'e', epoch, 'o', string.format('%.0f', offset), 'b', size, 'r', ARGV[5])
    redis.call('PEXPIRE', at, time + 3600000)
end

