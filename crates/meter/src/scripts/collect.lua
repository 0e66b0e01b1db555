-- Takes for the desk what is missing, as far as it is free: of a record that cost more than it has paid,
-- or for a withdrawal. Remembered under its id until it is posted or withdrawn.
--
-- ARGV: fence, the position up to which Postgres has posted, how many, then for each: id, account, missing.
-- Answers how much was taken for each. The same id again: the same answer.
-- MOVED: another position was posted meanwhile. A call that was given up and repeated may arrive after
-- all that followed from the other; what it took then, nobody would post.
local refused = succeeded()
if refused then
  return refused
end
local as_of = take()
if as_of ~= posted then
  return redis.error_reply('MOVED the posted position is ' .. posted)
end
local taken = {}
for n = 1, number() do
  local id, owner, missing = take(), take(), number()
  local before = call('HGET', at .. 'collected', id)
  if before then
    taken[n] = before == '-' and '0' or before
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
