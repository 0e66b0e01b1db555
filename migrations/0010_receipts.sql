-- What receipts need: the key that signs them, and every price that a rule ever said. (What the price
-- lists said, every release knows: none is ever taken out of it.)

-- Seeds of Ed25519 keys of the installation, sealed under the `contents` root keys.
create table signing_keys (
    purpose text primary key,
    sealed bytea not null,
    created_at timestamptz not null default now()
);
grant select, insert, update on signing_keys to tollgate_runtime;

-- Price rules as they were at any time.
create table price_rule_versions (
    rule_id uuid not null,
    at timestamptz not null default clock_timestamp(),
    rule jsonb not null,
    primary key (rule_id, at)
);
create function keep_price_rule_version() returns trigger language plpgsql as $$
begin
    insert into price_rule_versions (rule_id, rule) values (new.id, new.rule);
    return null;
end
$$;
create trigger price_rules_are_remembered after insert or update of rule on price_rules
    for each row execute function keep_price_rule_version();
create trigger price_rule_versions_stay before update or delete on price_rule_versions
    for each row execute function refuse_change();
create trigger price_rule_versions_stay_whole before truncate on price_rule_versions
    execute function refuse_change();
grant select, insert on price_rule_versions to tollgate_runtime;
