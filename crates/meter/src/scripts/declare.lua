-- In a new era a proxy says which holds it has. Leases end with their era: what requests had of them
-- are holds of their own now.
--
-- ARGV: incarnation, number of this part of the declaration, from 1, 1 if it is the last; how many
-- holds, for each: id, account, amount, floor, reported, step, how many counters, for each id, window, amount, floor;
-- the record.
-- An account that is loaded already, because the proxy comes late, gives what is free and no more.
-- Answers the posted position, 1 if this incarnation is dead. A part that was done changes nothing.
local incarnation, part, is_last = take(), number(), take() == '1'
local told = at .. 'i:' .. incarnation
local got = call('HMGET', told, 'declared', 'dead')
if got[2] then
  return { posted, 1 }
end
if part ~= tonumber(got[1] or 0) + 1 then
  return { posted, 0 }
end
for _ = 1, number() do
  local id = take()
  local hold = {
    kind = 'o', account = take(), amount = number(), floor = number(), reported = number(), step = number(),
    taken = now, reserved = {},
  }
  for c = 1, number() do
    hold.reserved[c] = { id = take(), window = number(), amount = number(), floor = number() }
  end
  hold.prototype = take()
  if not hold_of(incarnation, id) then
    local a = account(hold.account)
    if a.loaded then
      hold.amount = min(hold.amount, available(a))
      give(a, -hold.amount)
    end
    move(a, 'held', hold.amount)
    for _, r in ipairs(hold.reserved) do
      count(hold.account, r.id, r.window, r.amount)
    end
    keep(incarnation, id, hold)
  end
end
write()
call('HSET', told, 'declared', text(part))
call('HSETNX', at .. 'b', incarnation, '0')
if is_last then
  call('SADD', at .. 'd', incarnation)
end
return { posted, 0 }
