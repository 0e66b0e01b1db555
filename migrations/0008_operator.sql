-- What belongs to the whole installation and travels to every proxy: the operator's provider keys and
-- terms; what operator and accounts say about prices; and on what terms accounts and tokens spend.

-- The installation's own data keys, sealed under the root key rings like those of an account; made at
-- the first start.
alter table installation add column credentials_key bytea;
alter table installation add column contents_key bytea;
alter table installation add constraint installation_keys_together
    check ((credentials_key is null) = (contents_key is null));
-- One typed document, so that a new setting needs no migration.
alter table installation add column settings jsonb not null default '{}';

-- On what terms the account buys and spends credits: one typed document.
alter table accounts add column terms jsonb not null default '{}';

-- The most that the token may spend: one typed document, or null.
alter table gateway_tokens add column budget jsonb;

create table operator_keys (
    id uuid primary key,
    provider text not null,
    alias text not null,
    -- The lowest is used first.
    priority integer not null check (priority >= 0),
    -- What the provider does with a request whose caller has left; null where the catalogue is right.
    cancel text check (cancel in ('drain', 'stop')),
    -- The secret under the installation's credentials key, bound to row and provider.
    sealed bytea not null,
    -- At most the secret's last four characters, for people to tell keys apart.
    preview text not null,
    created_at timestamptz not null default now(),
    modified_at timestamptz not null default now(),
    constraint operator_keys_alias_key unique (provider, alias)
);
grant select, insert, update, delete on operator_keys to tollgate_runtime;

create table price_rules (
    id uuid primary key,
    -- Null for the operator's, which hold for all.
    account_id uuid references accounts on delete cascade,
    -- One typed document.
    rule jsonb not null,
    created_at timestamptz not null default now(),
    modified_at timestamptz not null default now()
);
create index price_rules_account on price_rules (account_id, created_at);
grant select, insert, update, delete on price_rules to tollgate_runtime;

alter table config_outbox drop constraint config_outbox_kind_check;
alter table config_outbox add constraint config_outbox_kind_check check (kind in (
    'account', 'gateway', 'gateway_token', 'api_token', 'provider_key',
    'operator_key', 'terms', 'price_rule'));
