-- Sets money and parts of limits aside, for several requests at once.
--
-- ARGV: incarnation, how many, then for each: id, kind (`o` own, `l` lease), account, what it needs (`c`
-- credits, `a` an account that is loaded, `-` neither), amount, least, floor, how many counters, for
-- each of these id, kind of window, size, limit, amount, floor (for a lease the least), and at last the
-- record as it is posted if nobody hears of the request again.
-- Answers for each: {0, amount, then for each counter window, amount, what remains, milliseconds to the
-- window's end}; {1, free}: credits are short; {2, index, what remains, milliseconds}: that counter is;
-- {3}: not loaded yet; {4}: ask again, leases are recalled; {5}: this incarnation is dead; {6}: a lease
-- would be too small.
-- The same id again: the same answer, and nothing moves.
local incarnation, asked = take(), number()
local dead = call('HGET', at .. 'i:' .. incarnation, 'dead')

-- A lease gets at most a hundredth of what is there.
local function capped(wanted, least, there)
  local part = min(wanted, floor(max(there, 0) / 100))
  return part >= least and part
end
local function lease_fits(a, wanted, wants)
  if a.recall or a.recalled then
    return false
  end
  wanted.amount = capped(wanted.amount, wanted.least, a.free)
  for _, want in ipairs(wants) do
    want.amount = capped(want.amount, want.floor, want.limit - want.used)
    if not want.amount then
      return false
    end
    want.floor = 0
  end
  return wanted.amount
end
-- As it was answered when it was taken, with what remains by now.
local function again(hold, wants)
  for index, want in ipairs(wants) do
    local r = hold.reserved[index]
    want.window = r and r.window
    look(hold.account, want)
    want.amount, want.used = r and r.amount or 0, want.used - (r and r.amount or 0)
  end
  return granted(hold.amount, wants)
end
local function held(wanted, wants)
  local present = hold_of(incarnation, wanted.id)
  if present then
    return again(present, wants)
  end
  local a = account(wanted.account)
  if wanted.needs ~= '-' and not a.loaded then
    return cold(wanted.account)
  end
  for _, want in ipairs(wants) do
    look(wanted.account, want)
  end
  if wanted.kind == 'l' then
    if not lease_fits(a, wanted, wants) then
      return { 6 }
    end
    move(a, 'leased', wanted.amount)
    move(a, 'leases', 1)
  else
    local no = refusal(a, wanted.needs == 'c', wanted.amount, wants)
    if no then
      return no
    end
  end
  local reserved = {}
  for _, want in ipairs(wants) do
    count(wanted.account, want.id, want.window, want.amount, wanted.kind == 'l' and want.amount)
    reserved[#reserved + 1] = { id = want.id, window = want.window, amount = want.amount, floor = want.floor }
  end
  move(a, 'held', wanted.amount)
  give(a, -wanted.amount)
  keep(incarnation, wanted.id, {
    kind = wanted.kind, account = wanted.account, amount = wanted.amount, floor = wanted.floor, reported = 0,
    step = 0, taken = now, reserved = reserved, prototype = wanted.prototype,
  })
  return granted(wanted.amount, wants)
end

local answers = {}
for n = 1, asked do
  local wanted = {
    id = take(), kind = take(), account = take(), needs = take(), amount = number(), least = number(), floor = number(),
  }
  local wants = {}
  for c = 1, number() do
    wants[c] = { id = take(), kind = take(), size = number(), limit = number(), amount = number(), floor = number() }
  end
  wanted.prototype = take()
  if wanted.prototype == '' then
    wanted.prototype = nil
  end
  answers[n] = dead and { 5 } or held(wanted, wants)
end
if not dead then
  -- From now on somebody looks whether this incarnation lives.
  call('HSETNX', at .. 'b', incarnation, '0')
end
write()
return answers
