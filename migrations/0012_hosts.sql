-- Hosts that are bound to gateways, the gateways' traffic policies, the secrets that policies refer to,
-- and provider keys that belong to one gateway token.

-- The text as its owner wrote it, YAML or JSON.
alter table gateways add column traffic_policy text;
-- Whether it was made for an endpoint, and goes with it.
alter table gateways add column of_endpoint boolean not null default false;

create table endpoints (
    id uuid primary key,
    account_id uuid not null,
    gateway_internal_id uuid not null,
    -- As its owner wrote it.
    url text not null,
    -- `gateway.example.com`, `*.example.com`, or `*` for hosts that are bound to nothing else. A host
    -- belongs to one account of the installation.
    host text not null constraint endpoints_host_key unique check (host = lower(host)),
    description text not null default '',
    metadata text not null default '',
    bindings text[] not null,
    pooling_enabled boolean not null default false,
    created_at timestamptz not null default now(),
    modified_at timestamptz not null default now(),
    -- What tokens refer to, so that none can be of another account than its endpoint.
    constraint endpoints_account_id_key unique (account_id, id),
    foreign key (account_id, gateway_internal_id)
        references gateways (account_id, internal_id) on delete cascade
);
create index endpoints_gateway on endpoints (account_id, gateway_internal_id, created_at);
grant select, insert, update, delete on endpoints to tollgate_runtime;

-- What a wildcard covers belongs to one account too. The domain is what stands behind the first label.
create index endpoints_domain on endpoints (substr(host, strpos(host, '.') + 1));

create function endpoints_wildcard() returns trigger language plpgsql as $$
declare
    domain text := substr(new.host, strpos(new.host, '.') + 1);
begin
    if strpos(new.host, '.') = 0 then
        return new;
    end if;
    -- Whoever binds a wildcard and whoever binds a host below it wait for each other.
    perform pg_advisory_xact_lock(hashtextextended(domain, 12));
    if exists (
        select from endpoints
        where account_id <> new.account_id and host <> new.host
            and substr(host, strpos(host, '.') + 1) = domain and strpos(host, '.') > 0
            and (new.host = '*.' || domain or host = '*.' || domain)
    ) then
        raise unique_violation using constraint = 'endpoints_wildcard_key';
    end if;
    return new;
end
$$;
create trigger endpoints_wildcard before insert or update of host on endpoints
    for each row execute function endpoints_wildcard();

create table vaults (
    id uuid primary key,
    account_id uuid not null references accounts on delete cascade,
    name text not null,
    description text not null default '',
    metadata text not null default '',
    -- Who did it: an email, or the id of an API token.
    created_by text not null,
    last_updated_by text not null,
    created_at timestamptz not null default now(),
    modified_at timestamptz not null default now(),
    constraint vaults_name_key unique (account_id, name),
    constraint vaults_account_id_key unique (account_id, id)
);
grant select, insert, update, delete on vaults to tollgate_runtime;

create table vault_secrets (
    id uuid primary key,
    account_id uuid not null references accounts on delete cascade,
    vault_id uuid not null,
    name text not null,
    -- The secret under the account's credentials key, bound to account and row.
    sealed bytea not null,
    description text not null default '',
    metadata text not null default '',
    created_by text not null,
    last_updated_by text not null,
    created_at timestamptz not null default now(),
    modified_at timestamptz not null default now(),
    constraint vault_secrets_name_key unique (vault_id, name),
    -- A vault that is not empty stays, unless its account goes.
    constraint vault_secrets_vault_key foreign key (account_id, vault_id) references vaults (account_id, id)
);
create index vault_secrets_account on vault_secrets (account_id, id);
grant select, insert, update, delete on vault_secrets to tollgate_runtime;

alter table gateway_tokens add column description text not null default '';
alter table gateway_tokens add column metadata text not null default '';
alter table gateway_tokens add column modified_at timestamptz not null default now();
-- The endpoint that a token was made for, where one was named. It works for the whole gateway.
alter table gateway_tokens add column endpoint_id uuid;
alter table gateway_tokens add constraint gateway_tokens_endpoint_key
    foreign key (account_id, endpoint_id) references endpoints (account_id, id) on delete set null (endpoint_id);
create index gateway_tokens_endpoint on gateway_tokens (endpoint_id) where endpoint_id is not null;
alter table gateway_tokens add constraint gateway_tokens_account_id_key unique (account_id, id);

create table bound_keys (
    id uuid primary key,
    account_id uuid not null,
    gateway_token_id uuid not null,
    provider text not null,
    name text not null default '',
    description text not null default '',
    metadata text not null default '',
    -- The secret under the account's credentials key, bound to account, row and provider.
    sealed bytea not null,
    -- As much of the secret as people need to tell keys apart.
    preview text not null,
    created_at timestamptz not null default now(),
    modified_at timestamptz not null default now(),
    foreign key (account_id, gateway_token_id) references gateway_tokens (account_id, id) on delete cascade
);
create index bound_keys_token on bound_keys (account_id, gateway_token_id, id);
grant select, insert, update, delete on bound_keys to tollgate_runtime;

alter table config_outbox drop constraint config_outbox_kind_check;
alter table config_outbox add constraint config_outbox_kind_check check (kind in (
    'account', 'gateway', 'gateway_token', 'api_token', 'provider_key',
    'operator_key', 'terms', 'price_rule', 'endpoint', 'vault_secret', 'bound_key'));
