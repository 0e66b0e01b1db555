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

local function settle_own(hold, charge)
  local a = account(hold.account)
  local pays = min(charge, hold.amount + available(a))
  finish(hold, pays)
  return pays
end
-- What a record pays, and how much of that it has from the lease. The rest of its part stays in the
-- lease, and the proxy spends it again.
local function settle_leased(lease, charge, part)
  part = min(part, lease.amount)
  local pays = charge
  if charge > part then
    pays = min(charge, part + available(account(lease.account)))
  end
  local from_lease = min(pays, part)
  lease.amount, lease.changed = lease.amount - from_lease, true
  if pays > from_lease then
    local a = account(lease.account)
    move(a, 'unposted', pays - from_lease)
    give(a, from_lease - pays)
  end
  return pays, from_lease
end

for _ = 1, number() do
  local holder, own_id, lease_id, owner = take(), take(), take(), take()
  local own = own_id ~= '' and hold_of(holder, own_id)
  local lease = not own and lease_id ~= '' and hold_of(holder, lease_id)
  own = own and own.account == owner and own
  lease = lease and lease.account == owner and lease
  local counts = {}
  for c = 1, number() do
    local id, window = take(), number()
    counts[c] = { id = id, window = window, used = 0, covered = 0, of = lease and reservation(lease, id, window) }
  end
  -- Many records share a lease: what they do to it, and to counters, is gathered.
  local drawn = 0
  for _ = 1, number() do
    local place, due, part = number(), take(), number()
    local charge, pays, from_lease = tonumber(due), 0, 0
    if own then
      pays = settle_own(own, charge)
    elseif lease then
      pays, from_lease = settle_leased(lease, charge, part)
      drawn = drawn + from_lease
    end
    for c = 1, #counts do
      local one, actual, reserved = counts[c], number(), number()
      one.used = one.used + actual
      if one.of then
        local covered = min(actual, reserved, one.of.amount)
        one.of.amount, one.covered = one.of.amount - covered, one.covered + covered
      end
    end
    if pays > 0 then
      paid[place + 1], any = pays == charge and due or text(pays), true
    end
  end
  local open = lease and lease.kind == 'l'
  for _, one in ipairs(counts) do
    count(owner, one.id, one.window, one.used - one.covered, open and -one.covered)
  end
  if lease then
    local a = account(owner)
    move(a, 'held', -drawn)
    move(a, 'unposted', drawn)
    if open then
      move(a, 'leased', -drawn)
    end
    fade(lease)
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
