-- The desk has committed withdrawals, or given them up.
--
-- ARGV: fence, how many, then for each: id, account, how much of what was collected goes back.
-- Repeated: nothing. The ids stay, so that a collecting that arrives late takes nothing: the posted
-- position need not have moved since.
local refused = succeeded()
if refused then
  return refused
end
for _ = 1, number() do
  local id, owner, back = take(), take(), number()
  local collected = call('HGET', at .. 'collected', id)
  if collected and collected ~= '-' then
    call('HSET', at .. 'collected', id, '-')
    local a = account(owner)
    move(a, 'unposted', -tonumber(collected))
    give(a, back)
  end
end
write()
return 'OK'
