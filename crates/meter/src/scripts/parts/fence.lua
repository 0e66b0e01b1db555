-- A desk that was succeeded does nothing more: the highest fencing number is remembered. Nothing, or
-- the refusal.
local function succeeded()
  local fence = number()
  local highest = tonumber(call('GET', at .. 'fence') or 0)
  if fence < highest then
    return redis.error_reply('FENCED another desk has taken over')
  elseif fence > highest then
    call('SET', at .. 'fence', text(fence))
  end
end
