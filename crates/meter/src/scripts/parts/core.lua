-- What every script begins with: is this era still the one, and what is asked. The first argument
-- is the operation's name; those that operations list follow it.
--
-- Nothing is written before everything has been read and decided, because a script that fails half
-- way is not undone: figures are gathered in tables and written at the end.
local at = '{shard}:{era}:'
local call = redis.call
local era = call('MGET', '{shard}:era', at .. 'posted')
local posted = era[2]
if era[1] ~= '{era}' or not posted then
  return redis.error_reply('NOERA this era is over')
end
local floor, ceil, min, max = math.floor, math.ceil, math.min, math.max

local cursor = 1
local function take()
  cursor = cursor + 1
  return ARGV[cursor]
end
local function number()
  cursor = cursor + 1
  return tonumber(ARGV[cursor])
end
-- What is gathered is written by whoever gathers it.
local writers = {}
local function write()
  for _, writer in ipairs(writers) do
    writer()
  end
end
-- Numbers are doubles here, and Lua's own way to write them keeps fourteen digits.
local function text(amount)
  return string.format('%.0f', amount)
end
