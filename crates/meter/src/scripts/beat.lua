-- A proxy says that it lives, what its streams have produced, and which holds it has; and it gives back
-- what its leases do not need.
--
-- ARGV: incarnation, number of the beat; how many reports, for each hold and what was produced; how many
-- leases, for each id, `l` if it stays open, `c` if nothing more will be taken of it, `e` if nobody has
-- a part of it, then what is given back: money, how many counters, for each id, window, amount; how many
-- holds to release; their ids; how many accounts whose recall is asked for, and these; `names` and all
-- holds that there are (others that are older than 30 seconds are released), `bye` if there are none and
-- nobody needs to watch over this incarnation, or nothing.
-- Answers: the posted position, 1 if this incarnation is dead, the accounts that are recalled, how many
-- holds there are.
-- A beat whose number is not higher than the last one's changes nothing.
local incarnation, beat = take(), number()
local told = call('HMGET', at .. 'i:' .. incarnation, 'beat', 'dead')
local dead = told[2]
local fresh = beat > tonumber(told[1] or 0) and not dead

for _ = 1, number() do
  local id, reported = take(), number()
  local hold = fresh and hold_of(incarnation, id)
  if hold and reported > hold.reported then
    hold.reported, hold.changed = reported, true
  end
end

for _ = 1, number() do
  local id, state, amount = take(), take(), number()
  local lease = fresh and hold_of(incarnation, id)
  local a = lease and account(lease.account)
  local open = lease and lease.kind == 'l'
  if lease then
    amount = min(amount, lease.amount)
    lease.amount, lease.changed = lease.amount - amount, true
    move(a, 'held', -amount)
    give(a, amount)
    if open then
      move(a, 'leased', -amount)
    end
  end
  for _ = 1, number() do
    local counter_id, window, back = take(), number(), number()
    local r = lease and reservation(lease, counter_id, window)
    if r then
      back = min(back, r.amount)
      r.amount = r.amount - back
      count(lease.account, counter_id, window, -back, open and -back)
    end
  end
  if lease and state == 'e' then
    finish(lease, 0)
  elseif lease and state == 'c' then
    if open then
      move(a, 'leased', -lease.amount)
      move(a, 'leases', -1)
      for _, r in ipairs(lease.reserved) do
        count(lease.account, r.id, r.window, 0, -r.amount)
      end
      lease.kind = 'c'
    end
    fade(lease)
  end
end

for _ = 1, number() do
  local hold = hold_of(incarnation, take())
  if hold and fresh then
    finish(hold, 0)
  end
end

local recalled = {}
for _ = 1, number() do
  local id = take()
  if account(id).recall then
    recalled[#recalled + 1] = id
  end
end

local said = take()
if fresh and said ~= '' then
  local named = {}
  for place = cursor + 1, #ARGV do
    named[ARGV[place]] = true
  end
  for _, id in ipairs(call('HKEYS', at .. 'h:' .. incarnation)) do
    local hold = not named[id] and hold_of(incarnation, id)
    if hold and now - hold.taken > 30000 then
      finish(hold, 0)
    end
  end
end
write()
local left = call('HLEN', at .. 'h:' .. incarnation)
if fresh and said == 'bye' and left == 0 then
  call('HDEL', at .. 'b', incarnation)
elseif fresh then
  call('HSET', at .. 'b', incarnation, text(beat))
end
if fresh then
  -- Not only in `b`, because who says bye is no longer watched, and an older beat may still arrive.
  call('HSET', at .. 'i:' .. incarnation, 'beat', text(beat))
end
return { posted, dead and 1 or 0, recalled, left }
