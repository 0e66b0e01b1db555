-- Which window it is now, in how many milliseconds it ends, and how long it is. Kinds: `f` fixed and
-- `s` sliding, of `size` seconds; `h`, `d`, `w` and `m`, an hour, day, week (from Monday) and month of
-- a calendar that is `size` seconds ahead of UTC.
local function window_of(kind, size)
  if kind == 'f' or kind == 's' then
    local span = size * 1000
    local index = floor(now / span)
    return index, (index + 1) * span - now, span
  end
  local here = now + size * 1000
  local hour, day = 3600000, 86400000
  if kind == 'h' then
    local index = floor(here / hour)
    return index, (index + 1) * hour - here, hour
  end
  local days = floor(here / day)
  if kind == 'd' then
    return days, (days + 1) * day - here, day
  end
  if kind == 'w' then
    local index = floor((days + 3) / 7)
    return index, (index * 7 + 4) * day - here, 7 * day
  end
  -- The calendar as its years begin in March, so that a leap day is a year's last.
  local shifted = days + 719468
  local cycle = floor(shifted / 146097)
  local in_cycle = shifted - cycle * 146097
  local year = floor((in_cycle - floor(in_cycle / 1460) + floor(in_cycle / 36524) - floor(in_cycle / 146096)) / 365)
  local in_year = in_cycle - (365 * year + floor(year / 4) - floor(year / 100))
  local month = floor((5 * in_year + 2) / 153)
  local index = (year + cycle * 400) * 12 + month + 2
  local next_begins = floor((153 * (month + 1) + 2) / 5)
  if month == 11 then
    local following = year + 1
    local leap = following % 4 == 0 and (following % 100 ~= 0 or following % 400 == 0)
    next_begins = leap and 366 or 365
  end
  return index, (days - in_year + next_begins) * day - here, 31 * day
end
