-- Holds, as `h:<incarnation>` has them: a line of words. Kinds: `o` a request's own, `l` a lease, `c` a
-- lease that is closed: nothing more is spent of it, and what requests still have of it is no longer
-- counted as something that could be given back.
local holds = {}
local function unpacked(line)
  local words, length = {}, 0
  for word in string.gmatch(line, '%S+') do
    length = length + 1
    words[length] = word
  end
  local hold = {
    kind = words[1], account = words[2], amount = tonumber(words[3]), floor = tonumber(words[4]),
    reported = tonumber(words[5]), step = tonumber(words[6]), taken = tonumber(words[7]), reserved = {},
  }
  for i = 8, length, 4 do
    hold.reserved[#hold.reserved + 1] = {
      id = words[i], window = tonumber(words[i + 1]), amount = tonumber(words[i + 2]), floor = tonumber(words[i + 3]),
    }
  end
  return hold
end
local function packed(hold)
  local words = {
    hold.kind, hold.account, text(hold.amount), text(hold.floor), text(hold.reported), text(hold.step), text(hold.taken),
  }
  for _, r in ipairs(hold.reserved) do
    words[#words + 1] = r.id .. ' ' .. text(r.window) .. ' ' .. text(r.amount) .. ' ' .. text(r.floor)
  end
  return table.concat(words, ' ')
end
-- The hold, or false.
local function hold_of(incarnation, id)
  local key = incarnation .. ' ' .. id
  local found = holds[key]
  if found == nil then
    local line = call('HGET', at .. 'h:' .. incarnation, id)
    found = line and unpacked(line)
    if found then
      found.incarnation, found.id = incarnation, id
    end
    holds[key] = found
  end
  return found and not found.gone and found
end
local function keep(incarnation, id, hold)
  hold.incarnation, hold.id, hold.changed = incarnation, id, true
  holds[incarnation .. ' ' .. id] = hold
end
-- Ends a hold that has paid so much of its amount.
local function finish(hold, paid)
  local a = account(hold.account)
  move(a, 'held', -hold.amount)
  move(a, 'unposted', paid)
  give(a, hold.amount - paid)
  local open = hold.kind == 'l'
  if open then
    move(a, 'leased', -hold.amount)
    move(a, 'leases', -1)
  end
  for _, r in ipairs(hold.reserved) do
    count(hold.account, r.id, r.window, -r.amount, open and -r.amount)
  end
  hold.gone = true
end
-- A closed lease of which nothing is left is gone.
local function fade(lease)
  if lease.kind ~= 'c' or lease.amount ~= 0 then
    return
  end
  for _, r in ipairs(lease.reserved) do
    if r.amount ~= 0 then
      return
    end
  end
  lease.gone = true
end
local function reservation(hold, id, window)
  for _, r in ipairs(hold.reserved) do
    if r.id == id and r.window == window then
      return r
    end
  end
end
writers[#writers + 1] = function()
  for _, hold in pairs(holds) do
    if hold and hold.gone then
      call('HDEL', at .. 'h:' .. hold.incarnation, hold.id)
      call('HDEL', at .. 'r:' .. hold.incarnation, hold.id)
    elseif hold and hold.changed then
      call('HSET', at .. 'h:' .. hold.incarnation, hold.id, packed(hold))
      if hold.prototype then
        call('HSET', at .. 'r:' .. hold.incarnation, hold.id, hold.prototype)
      end
    end
  end
end
