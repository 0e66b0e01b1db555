-- Tells a proxy how far the desk has posted.
return redis.call('GET', '{shard}:{era}:posted') or redis.error_reply('NOERA this era is over')
