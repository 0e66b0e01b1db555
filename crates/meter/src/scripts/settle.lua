-- A proxy's batch of records, in one entry of the shard's stream. Repeating it adds the records
-- again, and the desk knows their ids.
-- ARGV[1]: the batch. What each record took from its hold will be decided here and stand beside the
-- batch in a field `p`; a record without a hold has paid nothing, and an entry without `p` has none.
-- KEYS name the stream and the position for a cluster's routing; the text decides.
local posted = redis.call('GET', '{shard}:{era}:posted')
if not posted then
  return redis.error_reply('NOERA this era is over')
end
return { redis.call('XADD', '{shard}:{era}:u', '*', 'b', ARGV[1]), posted }
