-- Releases what is left of an incarnation whose records have all been sent: nobody asked a provider
-- for what these holds were meant for. From then on it holds nothing.
--
-- ARGV: incarnation, how many holds at most. Answers how many are left.
local incarnation, most = take(), number()
call('HSET', at .. 'i:' .. incarnation, 'dead', '1')
for _, id in ipairs(call('HRANDFIELD', at .. 'h:' .. incarnation, text(most))) do
  finish(hold_of(incarnation, id), 0)
end
write()
local left = call('HLEN', at .. 'h:' .. incarnation)
if left == 0 then
  -- A new era does not wait for it.
  call('SADD', at .. 'd', incarnation)
  call('HDEL', at .. 'b', incarnation)
  call('EXPIRE', at .. 'i:' .. incarnation, 86400)
end
return left
