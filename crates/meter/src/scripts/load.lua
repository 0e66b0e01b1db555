-- Tells Redis what accounts have, once in an era.
--
-- ARGV: fence, the position up to which Postgres had posted when these were read, how many accounts, for
-- each id, balance, sequence of its last credit, how many counters, for each id, window, value.
-- Answers for each 1, or 0 if it was loaded before. MOVED: another position was posted meanwhile, so
-- these balances are not the present ones.
local refused = succeeded()
if refused then
  return refused
end
local as_of = take()
if as_of ~= posted then
  return redis.error_reply('MOVED the posted position is ' .. posted)
end
local answers = {}
for n = 1, number() do
  local id, balance, sequence = take(), number(), take()
  local a = account(id)
  local is_new = not a.loaded
  if is_new then
    a.loaded = '1'
    give(a, balance - a.held - a.unposted)
    call('HSET', at .. 'a:' .. id, 'loaded', '1', 'applied', sequence)
  end
  for _ = 1, number() do
    local counter_id, window, value = take(), number(), number()
    if is_new then
      count(id, counter_id, window, value)
    end
  end
  call('SREM', at .. 'want', id)
  answers[n] = is_new and 1 or 0
end
write()
return answers
