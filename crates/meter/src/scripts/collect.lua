-- Takes for the desk what is missing, as far as it is free: of a record that cost more than it has paid,
-- or for a withdrawal. Remembered under its id until it is posted or withdrawn.
--
-- ARGV: fence, how many, then for each: id, account, missing. Answers how much was taken for each.
-- The same id again: the same answer.
local refused = succeeded()
if refused then
  return refused
end
local taken = {}
for n = 1, number() do
  local id, owner, missing = take(), take(), number()
  local before = call('HGET', at .. 'collected', id)
  if before then
    taken[n] = before
  else
    local a = account(owner)
    local amount = min(available(a), missing)
    move(a, 'free', -amount)
    move(a, 'unposted', amount)
    -- At once, because the same id may stand here twice.
    call('HSET', at .. 'collected', id, text(amount))
    taken[n] = text(amount)
  end
end
write()
return taken
