-- What clients of the second management API write beside tokens and keys, and who did it.

alter table gateway_tokens add column created_by text not null default '';
alter table gateway_tokens add column last_updated_by text not null default '';
alter table bound_keys add column created_by text not null default '';
alter table bound_keys add column last_updated_by text not null default '';
alter table api_tokens add column description text not null default '';
alter table api_tokens add column metadata text not null default '';
