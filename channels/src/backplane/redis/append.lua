-- ARGV, behind those: the channel, and the message.
local channel, message = ARGV[6], ARGV[7]

offset, length, size = offset + 1, length + 1, size + #message
redis.call('RPUSH', log, string.format('%.0f %d', now, #message), message)
trim()
redis.call('PEXPIRE', log, time)
save()
redis.call('PUBLISH', channel, string.format('\1%s:%.0f:', epoch, offset) .. message)
return redis.status_reply('OK')
