-- Ends holds of an incarnation that beats no longer: requests are charged what was last reported of
-- them, at least their input and at most their hold, and posted as abandoned; leases are released.
-- From then on that incarnation holds nothing.
--
-- ARGV: fence, incarnation, how many holds at most.
-- Answers how many holds are left; the entry has the records as `b`, what they have paid as `p`, what they
-- are charged as `c`.
local refused = succeeded()
if refused then
  return refused
end
local incarnation, most = take(), number()
call('HSET', at .. 'i:' .. incarnation, 'dead', '1')
local ids = call('HRANDFIELD', at .. 'h:' .. incarnation, text(most))

local function varint(n)
  local bytes = {}
  while n >= 128 do
    bytes[#bytes + 1] = string.char(n % 128 + 128)
    n = floor(n / 128)
  end
  bytes[#bytes + 1] = string.char(n)
  return table.concat(bytes)
end

local records, charges = {}, {}
for _, id in ipairs(ids) do
  local hold = hold_of(incarnation, id)
  if hold.kind == 'o' then
    local charge = min(hold.amount, max(hold.floor, hold.reported))
    local record = call('HGET', at .. 'r:' .. incarnation, id)
    finish(hold, charge)
    for _, r in ipairs(hold.reserved) do
      count(hold.account, r.id, r.window, r.floor)
    end
    if record then
      records[#records + 1] = '\10' .. varint(#record) .. record
      charges[#charges + 1] = text(charge)
    end
  else
    finish(hold, 0)
  end
end
if #records > 0 then
  local list = table.concat(charges, ',')
  call('XADD', at .. 'u', '*', 'b', table.concat(records), 'p', list, 'c', list)
end
write()
local left = call('HLEN', at .. 'h:' .. incarnation)
if left == 0 then
  call('HDEL', at .. 'b', incarnation)
  call('EXPIRE', at .. 'i:' .. incarnation, 86400)
end
return left
