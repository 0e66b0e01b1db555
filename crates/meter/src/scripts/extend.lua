-- Sets more aside for a request that is under way, and hears what it has produced.
--
-- ARGV: incarnation, number of the next batch of records, id, step, what it needs (as in `hold`), more,
-- reported; lease or nothing, the part of its money that the request has; account, floor, record; how
-- many counters, and for each id, window in which the request counts, kind of window, size, limit, more,
-- the part of the lease's reservation, floor.
-- Answers as `hold` for one, with all that is reserved by now. A request that lives on a lease gets its part as a hold of its own first.
-- {7}: there is neither such a hold nor such a lease; or that batch is settled, and the request perhaps
-- with it, for which nothing may be carved again. A step that was done is answered and not repeated.
local incarnation, batch, id, step = take(), number(), take(), number()
local needs, more, reported = take(), number(), number()
local lease_id, part = take(), number()
local owner, least, prototype = take(), number(), take()
local wants = {}
for c = 1, number() do
  wants[c] = {
    id = take(), window = number(), kind = take(), size = number(), limit = number(), amount = number(),
    part = number(), floor = number(),
  }
end
local told = call('HMGET', at .. 'i:' .. incarnation, 'dead', 'seq')
if told[1] then
  return { 5 }
end
if batch <= tonumber(told[2] or 0) then
  return { 7 }
end
local hold = hold_of(incarnation, id)
local lease = not hold and lease_id ~= '' and hold_of(incarnation, lease_id)
local found = hold or lease
if not found or found.account ~= owner then
  return { 7 }
end
local a = account(owner)
if not a.loaded and needs ~= '-' then
  return cold(owner)
end
for _, want in ipairs(wants) do
  look(owner, want)
end

if not hold then
  hold = {
    kind = 'o', account = owner, amount = min(part, lease.amount), floor = least, reported = 0, step = 0, taken = now,
    reserved = {}, prototype = prototype,
  }
  for _, want in ipairs(wants) do
    local r = reservation(lease, want.id, want.window)
    local carved = min(want.part, r and r.amount or 0)
    hold.reserved[#hold.reserved + 1] = { id = want.id, window = want.window, amount = carved, floor = want.floor }
  end
end
if hold.step < step then
  local no = refusal(a, needs == 'c', more, wants)
  if no then
    -- A recall, and nothing else, has been gathered.
    write()
    return no
  end
  if lease then
    lease.amount, lease.changed = lease.amount - hold.amount, true
    local open = lease.kind == 'l'
    if open then
      move(a, 'leased', -hold.amount)
    end
    for _, mine in ipairs(hold.reserved) do
      local r = reservation(lease, mine.id, mine.window)
      if r then
        r.amount = r.amount - mine.amount
        count(owner, mine.id, mine.window, 0, open and -mine.amount)
      end
    end
    fade(lease)
  end
  for _, want in ipairs(wants) do
    local r = reservation(hold, want.id, want.window)
    if not r then
      r = { id = want.id, window = want.window, amount = 0, floor = want.floor }
      hold.reserved[#hold.reserved + 1] = r
    end
    r.amount = r.amount + want.amount
    count(owner, want.id, want.window, want.amount)
  end
  move(a, 'held', more)
  give(a, -more)
  hold.amount, hold.step, hold.reported = hold.amount + more, step, max(hold.reported, reported)
  keep(incarnation, id, hold)
  write()
else
  for _, want in ipairs(wants) do
    want.amount = 0
  end
end
for _, want in ipairs(wants) do
  local r = reservation(hold, want.id, want.window)
  want.used, want.amount = want.used + want.amount - (r and r.amount or 0), r and r.amount or 0
end
return granted(hold.amount, wants)
