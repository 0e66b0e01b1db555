#!lua flags=allow-oom
-- The desk has committed everything up to ARGV[1]; entries before ARGV[2] are no longer needed, even
-- by a Postgres that was restored to a recent point. Repeating it changes nothing.
-- It is what frees memory, so it runs when there is none.
if redis.call('EXISTS', '{shard}:{era}:posted') == 0 then
  return redis.error_reply('NOERA this era is over')
end
redis.call('SET', '{shard}:{era}:posted', ARGV[1])
return redis.call('XTRIM', '{shard}:{era}:u', 'MINID', '~', ARGV[2])
