-- Counters of limits, `c:<account>:<counter>`: `i` is the number of the present window, `c` what was counted in it, `p` what
-- was counted in the one before, `l` the part of `c` that leases could give back, `x` that it expires by a guess.
local counters = {}
local function counter(owner, id)
  local key = at .. 'c:' .. owner .. ':' .. id
  local found = counters[key]
  if not found then
    local got = call('HMGET', key, 'i', 'c', 'p', 'l', 'x')
    found = {
      i = tonumber(got[1] or -1), c = tonumber(got[2] or 0), p = tonumber(got[3] or 0), l = tonumber(got[4] or 0),
      guessed = got[5],
    }
    found.was = found.i
    counters[key] = found
  end
  return found
end
-- Moves on to a newer window. A clock can be set back a little; a number that is much lower means that
-- the windows have another length now.
local function roll(k, window)
  if window > k.i or window < k.i - 1 then
    k.p = window == k.i + 1 and k.c or 0
    k.i, k.c, k.l = window, 0, 0
  end
end
-- Adds to what was counted in a window, if that is the present one or the one before.
local function count(owner, id, window, by, leased)
  local k = counter(owner, id)
  if window > k.i then
    roll(k, window)
  end
  if window == k.i then
    k.c, k.l, k.changed = k.c + by, k.l + (leased or 0), true
  elseif window == k.i - 1 then
    k.p, k.changed = k.p + by, true
  end
end
writers[#writers + 1] = function()
  for key, k in pairs(counters) do
    if k.changed and k.c == 0 and k.p == 0 and k.l == 0 then
      -- Callers can make up counters, by what they put into metadata: nothing is kept of those that count nothing.
      call('DEL', key)
    elseif k.changed then
      call('HSET', key, 'i', text(k.i), 'c', text(k.c), 'p', text(k.p), 'l', text(k.l))
      if k.span and (k.i ~= k.was or k.guessed) then
        call('PEXPIRE', key, text(2 * k.span + 3600000))
        call('HDEL', key, 'x')
      elseif k.i ~= k.was then
        -- Who only settles or loads does not know how long a window is. Most are a month at most; the next
        -- hold knows.
        call('PEXPIRE', key, '5533200000')
        call('HSET', key, 'x', '1')
      end
    end
  end
end
