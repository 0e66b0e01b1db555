-- A proxy's batch of records, in one entry of the shard's stream, and what each has taken of its hold.
--
-- ARGV: incarnation, number of the batch, the encoded batch, how many records it has, how many groups,
-- and for each group: incarnation of the holds, hold of its own or nothing, lease or nothing, account,
-- how many counters, for each of these id and window; how many records, for each of these its place in
-- the batch from 0, charge, part of the lease's money, and for each counter what was used and the part
-- of the lease's reservation.
-- A hold of its own goes before the lease, because `extend` may have made one. Records without any hold
-- stand in no group. The entry has the batch as `b`, and as `p` what each record has paid, unless all
-- have paid nothing; the desk knows records by their ids.
-- Batches are numbered from 1 in each era. One that was done is answered again, and nothing moves.
-- KEYS name the stream and the position for a cluster's routing; the text decides.
-- Answers: the entry's id, the posted position.
local incarnation, batch = take(), number()
local told = at .. 'i:' .. incarnation
local got = call('HMGET', told, 'seq', 's' .. text(batch % 16))
local last = tonumber(got[1] or 0)
if batch <= last and batch > last - 16 then
  return { got[2], posted }
elseif batch ~= last + 1 then
  return redis.error_reply('GAP the last batch was ' .. text(last))
end

local encoded, length = take(), number()
local paid, any = {}, false
for place = 1, length do
  paid[place] = '0'
end

local function counted(owner, counts, used)
  for index, one in ipairs(counts) do
    count(owner, one.id, one.window, used[index].actual)
  end
end
local function settle_own(hold, charge)
  local a = account(hold.account)
  local pays = min(charge, hold.amount + available(a))
  finish(hold, pays)
  return pays
end
-- The rest of the part stays in the lease, and the proxy spends it again.
local function settle_leased(lease, charge, part, counts, used)
  local a = account(lease.account)
  local open = lease.kind == 'l'
  part = min(part, lease.amount)
  local pays = min(charge, part + available(a))
  local from_lease = min(pays, part)
  lease.amount, lease.changed = lease.amount - from_lease, true
  move(a, 'held', -from_lease)
  move(a, 'unposted', pays)
  give(a, from_lease - pays)
  if open then
    move(a, 'leased', -from_lease)
  end
  for index, one in ipairs(counts) do
    local r = reservation(lease, one.id, one.window)
    if r then
      local covered = min(used[index].actual, used[index].part, r.amount)
      r.amount = r.amount - covered
      count(lease.account, one.id, one.window, -covered, open and -covered)
    end
  end
  fade(lease)
  return pays
end

for _ = 1, number() do
  local holder, own_id, lease_id, owner = take(), take(), take(), take()
  local counts = {}
  for c = 1, number() do
    counts[c] = { id = take(), window = number() }
  end
  for _ = 1, number() do
    local place, charge, part = number(), number(), number()
    local used = {}
    for c = 1, #counts do
      used[c] = { actual = number(), part = number() }
    end
    local own = own_id ~= '' and hold_of(holder, own_id)
    local lease = not own and lease_id ~= '' and hold_of(holder, lease_id)
    local pays = 0
    if own and own.account == owner then
      pays = settle_own(own, charge)
    elseif lease and lease.account == owner then
      pays = settle_leased(lease, charge, part, counts, used)
    end
    counted(owner, counts, used)
    if pays > 0 then
      paid[place + 1], any = text(pays), true
    end
  end
end

local entry
if any then
  entry = call('XADD', at .. 'u', '*', 'b', encoded, 'p', table.concat(paid, ','))
else
  entry = call('XADD', at .. 'u', '*', 'b', encoded)
end
write()
call('HSET', told, 'seq', text(batch), 's' .. text(batch % 16), entry)
return { entry, posted }
