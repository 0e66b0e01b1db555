-- Ends holds of an incarnation that beats no longer: requests are charged what was last reported of
-- them, at least their input and at most their hold, and posted as abandoned; leases are released.
-- From then on that incarnation holds nothing.
--
-- ARGV: fence, incarnation, the beat that stood still, how many holds at most.
-- Answers how many holds are left, or -1 if there was another beat; the entry has the records as `b`, what they have paid as `p`, what they
-- are charged as `c`, and the holds as `h`, one a line.
local refused = succeeded()
if refused then
  return refused
end
local incarnation, beat, most = take(), take(), number()
if (call('HGET', at .. 'b', incarnation) or beat) ~= beat then
  return -1
end
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

local records, charges, lines = {}, {}, {}
for _, id in ipairs(ids) do
  local hold = hold_of(incarnation, id)
  if hold.kind == 'o' then
    local record, line = call('HGET', at .. 'r:' .. incarnation, id), packed(hold)
    -- What is charged must be posted.
    local charge = record and min(hold.amount, max(hold.floor, hold.reported)) or 0
    finish(hold, charge)
    for _, r in ipairs(hold.reserved) do
      count(hold.account, r.id, r.window, r.floor)
    end
    if record then
      records[#records + 1] = '\10' .. varint(#record) .. record
      charges[#charges + 1] = text(charge)
      lines[#lines + 1] = line
    end
  else
    finish(hold, 0)
  end
end
if #records > 0 then
  local list = table.concat(charges, ',')
  call('XADD', at .. 'u', '*', 'b', table.concat(records), 'p', list, 'c', list, 'h', table.concat(lines, '\n'))
end
write()
local left = call('HLEN', at .. 'h:' .. incarnation)
if left == 0 then
  call('HDEL', at .. 'b', incarnation)
  call('EXPIRE', at .. 'i:' .. incarnation, 86400)
end
return left
