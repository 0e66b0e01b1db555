-- Money has arrived in Postgres.
--
-- ARGV: fence, how many, then for each: account, amount, sequence of the account's credits.
-- Answers for each: 1 if it is free now; 0 if it was before, or the account is not loaded; -1 if a
-- credit before it is missing.
local refused = succeeded()
if refused then
  return refused
end
local answers = {}
for n = 1, number() do
  local id, amount, sequence = take(), number(), number()
  local a = account(id)
  local applied = a.loaded and tonumber(call('HGET', at .. 'a:' .. id, 'applied') or 0)
  if not applied or sequence <= applied then
    answers[n] = 0
  elseif sequence > applied + 1 then
    answers[n] = -1
  else
    -- At once, because the next of the same account may stand here too.
    call('HSET', at .. 'a:' .. id, 'applied', text(sequence))
    give(a, amount)
    answers[n] = 1
  end
end
write()
return answers
