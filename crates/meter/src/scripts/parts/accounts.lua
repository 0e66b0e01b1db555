-- Accounts: read once, changed by amounts, written at the end. What is free is not touched before
-- the account is loaded, because it is computed then.
local accounts = {}
local function account(id)
  local found = accounts[id]
  if not found then
    local got = call('HMGET', at .. 'a:' .. id, 'loaded', 'free', 'held', 'unposted', 'leased', 'leases', 'recall')
    found = {
      loaded = got[1], free = tonumber(got[2] or 0), held = tonumber(got[3] or 0),
      unposted = tonumber(got[4] or 0), leased = tonumber(got[5] or 0), leases = tonumber(got[6] or 0),
      recall = got[7], by = { free = 0, held = 0, unposted = 0, leased = 0, leases = 0 },
    }
    accounts[id] = found
  end
  return found
end
local function move(a, field, by)
  a[field] = a[field] + by
  a.by[field] = a.by[field] + by
end
-- What may be taken of an account: nothing while it is not loaded, and never a debt.
local function available(a)
  return a.loaded and max(a.free, 0) or 0
end
local function give(a, amount)
  if a.loaded then
    move(a, 'free', amount)
  end
end
writers[#writers + 1] = function()
  for id, a in pairs(accounts) do
    local key = at .. 'a:' .. id
    for field, by in pairs(a.by) do
      if by ~= 0 then
        call('HINCRBY', key, field, text(by))
      end
    end
    if a.recalled and not a.recall then
      call('HSET', key, 'recall', '1')
    elseif a.recall and a.leases == 0 then
      call('HDEL', key, 'recall')
    end
  end
end
