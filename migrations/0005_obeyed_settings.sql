-- The settings that a proxy said it obeys, when it last subscribed.
alter table proxies add column obeys text[];
