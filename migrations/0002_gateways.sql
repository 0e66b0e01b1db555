-- Gateways, what callers present at them, and the keys that they spend at providers.

create table gateways (
    internal_id uuid primary key,
    account_id uuid not null references accounts on delete cascade,
    -- What callers call it; free again once the gateway is deleted.
    id text not null check (id ~ '^[a-z0-9]([a-z0-9_-]{0,62}[a-z0-9])?$'),
    -- One typed document, so that a new setting needs no migration.
    settings jsonb not null,
    created_at timestamptz not null default now(),
    modified_at timestamptz not null default now(),
    constraint gateways_account_id_key unique (account_id, id),
    -- What the rows below refer to, so that none can be of another account than its gateway.
    constraint gateways_account_internal_id_key unique (account_id, internal_id)
);
grant select, insert, update, delete on gateways to tollgate_runtime;

create table gateway_tokens (
    id uuid primary key,
    account_id uuid not null,
    gateway_internal_id uuid not null,
    name text not null,
    -- SHA-256 of the token, which is shown once and kept nowhere.
    digest bytea not null check (length(digest) = 32),
    expires_on timestamptz,
    created_at timestamptz not null default now(),
    foreign key (account_id, gateway_internal_id)
        references gateways (account_id, internal_id) on delete cascade
);
create index gateway_tokens_gateway on gateway_tokens (account_id, gateway_internal_id, created_at);
grant select, insert, update, delete on gateway_tokens to tollgate_runtime;

create table provider_keys (
    id uuid primary key,
    account_id uuid not null,
    gateway_internal_id uuid not null,
    provider text not null,
    alias text not null,
    is_default boolean not null,
    -- The secret under the account's credentials key, bound to account, row and provider.
    sealed bytea not null,
    -- At most the secret's last four characters, for people to tell keys apart.
    preview text not null,
    rate_limit bigint check (rate_limit >= 0),
    -- Seconds.
    rate_limit_period bigint check (rate_limit_period > 0),
    created_at timestamptz not null default now(),
    modified_at timestamptz not null default now(),
    constraint provider_keys_alias_key unique (gateway_internal_id, provider, alias),
    foreign key (account_id, gateway_internal_id)
        references gateways (account_id, internal_id) on delete cascade
);
create unique index provider_keys_one_default
    on provider_keys (gateway_internal_id, provider) where is_default;
create index provider_keys_gateway on provider_keys (account_id, gateway_internal_id, created_at);
grant select, insert, update, delete on provider_keys to tollgate_runtime;
