-- The desk has committed everything up to a position. It is what frees memory, so it runs when there is
-- none.
--
-- ARGV: fence, position, entries before which are no longer needed, even by a Postgres that was restored
-- to a recent point; how many accounts, for each id, what is no longer unposted, what goes back because
-- a duplicate had taken it; how many counters, for each account, id, window, what Postgres has by now, what
-- goes back; how many collected ids, and these.
-- Before an account is loaded its counters hold what Postgres does not have yet; afterwards they hold all.
-- Answers 1, or 0 if this position was reached before: then nothing changes.
local refused = succeeded()
if refused then
  return refused
end
local to, trim = take(), take()
local function before(one, other)
  local ms, seq = string.match(one, '(%d+)-(%d+)')
  local other_ms, other_seq = string.match(other, '(%d+)-(%d+)')
  ms, seq, other_ms, other_seq = tonumber(ms), tonumber(seq), tonumber(other_ms), tonumber(other_seq)
  return ms < other_ms or ms == other_ms and seq < other_seq
end
if not before(posted, to) then
  return 0
end
for _ = 1, number() do
  local a, unposted, back = account(take()), number(), number()
  move(a, 'unposted', -unposted)
  give(a, back)
end
for _ = 1, number() do
  local owner, id, window, there, back = take(), take(), number(), number(), number()
  local by = -back - (account(owner).loaded and 0 or there)
  -- A desk that has not loaded the account itself says what is there of every counter.
  if by ~= 0 then
    count(owner, id, window, by)
  end
end
local forgotten = number()
for _ = 1, forgotten do
  call('HDEL', at .. 'collected', take())
end
write()
call('SET', at .. 'posted', to)
call('XTRIM', at .. 'u', 'MINID', '~', trim)
return 1
