-- Who there is and what they may do; and the two tables by which every change of configuration
-- reaches the proxies.

-- The processes work as this role. It owns nothing, so that grants and triggers bind it.
-- Roles belong to the whole server: another database may be creating it at this moment.
do $$
begin
    create role tollgate_runtime nologin;
exception
    when duplicate_object or unique_violation then null;
end
$$;

grant usage on schema public to tollgate_runtime;

create table installation (
    only_row boolean primary key default true check (only_row),
    id uuid not null default gen_random_uuid(),
    -- SHA-256 of the token that makes the first user; null once that has happened.
    setup_digest bytea,
    -- The Ed25519 key that signs sessions, sealed under the `contents` root keys.
    session_key bytea,
    created_at timestamptz not null default now()
);
insert into installation default values;
grant select, update on installation to tollgate_runtime;

-- The number is bumped last in every transaction that changes configuration. Its row lock makes the
-- order of commits the order of revisions.
create table config_revision (
    only_row boolean primary key default true check (only_row),
    timeline uuid not null default gen_random_uuid(),
    number bigint not null default 0
);
insert into config_revision default values;
grant select, update on config_revision to tollgate_runtime;

-- What each revision touched. The row says which resource, never what it says: the resource is read
-- when it is pushed, and its absence means that it is gone.
create table config_outbox (
    revision bigint not null,
    account_id uuid not null,
    kind text not null check (kind in ('account', 'gateway', 'gateway_token', 'api_token', 'provider_key')),
    resource_id uuid not null,
    at timestamptz not null default now(),
    primary key (revision, kind, resource_id)
);
create index config_outbox_at on config_outbox (at);
grant select, insert, delete on config_outbox to tollgate_runtime;

create table users (
    id uuid primary key,
    -- Kept in lower case.
    email text not null constraint users_email_key unique check (email = lower(email)),
    password_hash text not null,
    created_at timestamptz not null default now()
);
grant select, insert, update on users to tollgate_runtime;

create table sessions (
    id uuid primary key,
    user_id uuid not null references users on delete cascade,
    -- SHA-256 of the one refresh token that is good now.
    refresh_digest bytea not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    revoked_at timestamptz
);
create index sessions_user on sessions (user_id);
create index sessions_expires_at on sessions (expires_at);
grant select, insert, update, delete on sessions to tollgate_runtime;

create table accounts (
    id uuid primary key,
    name text not null,
    -- The account's data keys, sealed under the root key rings. Without them nothing that the
    -- account ever sealed can be read again.
    credentials_key bytea not null,
    contents_key bytea not null,
    created_at timestamptz not null default now()
);
grant select, insert, update, delete on accounts to tollgate_runtime;

-- A member without a user is invited and has not come yet.
create table members (
    id uuid primary key,
    account_id uuid not null references accounts on delete cascade,
    email text not null check (email = lower(email)),
    user_id uuid references users on delete cascade,
    role text not null check (role in ('owner', 'admin', 'editor', 'viewer')),
    invitation_digest bytea,
    invitation_expires_at timestamptz,
    created_at timestamptz not null default now(),
    constraint members_account_email_key unique (account_id, email),
    constraint members_account_user_key unique (account_id, user_id),
    constraint members_invited_or_here
        check ((user_id is null) = (invitation_digest is not null and invitation_expires_at is not null))
);
create index members_user on members (user_id);
grant select, insert, update, delete on members to tollgate_runtime;

create table api_tokens (
    id uuid primary key,
    account_id uuid not null references accounts on delete cascade,
    name text not null,
    digest bytea not null,
    -- As given, in Cloudflare's shape.
    policies jsonb not null,
    condition jsonb,
    -- What the policies come to.
    permissions text[] not null,
    disabled boolean not null default false,
    not_before timestamptz,
    expires_on timestamptz,
    creator_email text,
    issued_on timestamptz not null default now(),
    modified_on timestamptz not null default now(),
    last_used_on timestamptz
);
create index api_tokens_account on api_tokens (account_id, issued_on);
grant select, insert, update, delete on api_tokens to tollgate_runtime;
