-- Whether there is room for what a request wants.
--
-- Looks up what a want's counter says: its window, when that ends, what is used.
local function look(owner, want)
  local index, left, span = window_of(want.kind, want.size)
  local k = counter(owner, want.id)
  want.counter = k
  roll(k, index)
  k.span = span
  want.left, want.span = left, span
  want.window = want.window or k.i
  if want.window < k.i then
    -- An older request goes on: it counts in the window in which it began.
    want.used, want.leased = want.window == k.i - 1 and k.p or 0, 0
    return
  end
  want.used, want.leased = max(k.c, 0), max(k.l, 0)
  if want.kind == 's' then
    want.used = want.used + ceil(max(k.p, 0) * left / span)
  end
end
-- The milliseconds after which there will be room, if nobody else takes it.
local function room_in(want)
  if want.kind ~= 's' then
    return want.left
  end
  local k, spare = want.counter, want.limit - want.amount
  if spare >= k.c and k.p > 0 then
    return want.left - floor((spare - k.c) * want.span / k.p)
  elseif spare >= 0 and k.c > 0 then
    return want.left + want.span - floor(spare * want.span / k.c)
  end
  return want.left + want.span
end
-- Nothing if there is room, else the refusal. Nobody is refused what leases could give back: they are
-- recalled, and who asks is told to ask again.
local function refusal(a, on_credits, amount, wants)
  local wait = false
  local out = a.leases > 0
  for index, want in ipairs(wants) do
    local short = want.used + want.amount - want.limit
    if short > (out and want.leased or 0) then
      return { 2, index - 1, text(max(want.limit - want.used, 0)), text(room_in(want)) }
    end
    wait = wait or short > 0
  end
  if on_credits then
    local short = amount - a.free
    if short > (out and a.leased or 0) then
      return { 1, text(a.free) }
    end
    wait = wait or short > 0
  end
  if wait then
    a.recalled = true
    return { 4 }
  end
end
-- The account is to be loaded; the desk is woken by the first who asks.
local function cold(id)
  if call('SADD', at .. 'want', id) == 1 then
    call('XADD', at .. 'u', '*', 'w', id)
  end
  return { 3 }
end
-- What became of each counter, for headers and for leases: window, amount, what remains, milliseconds.
local function granted(amount, wants)
  local answer = { 0, text(amount) }
  for _, want in ipairs(wants) do
    answer[#answer + 1] = text(want.window)
    answer[#answer + 1] = text(want.amount)
    answer[#answer + 1] = text(max(want.limit - want.used - want.amount, 0))
    answer[#answer + 1] = text(want.left)
  end
  return answer
end
