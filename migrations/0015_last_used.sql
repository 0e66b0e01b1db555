-- When tokens and the provider keys that belong to them were used last, within a minute; null for never. It is
-- told by usage records when they are posted, and is no configuration: no proxy is told of it.

alter table gateway_tokens add column last_used_at timestamptz;
alter table bound_keys add column last_used_at timestamptz;
