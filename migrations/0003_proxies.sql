-- Which proxies there are, how they prove it, and how far each has come.

-- Where the timeline was last confirmed. A database that finds itself somewhere else (restored,
-- promoted, copied) may have lost revisions that proxies have seen, and starts a new timeline.
alter table config_revision add column place text;

-- The installation's own certificate authority, which signs the certificates of proxies and of the
-- server that they connect to.
create table certificate_authority (
    only_row boolean primary key default true check (only_row),
    certificate_der bytea not null,
    -- PKCS #8, sealed under the `contents` root keys.
    sealed_key bytea not null,
    created_at timestamptz not null default now()
);
grant select, insert, update on certificate_authority to tollgate_runtime;

create table proxies (
    id uuid primary key,
    name text not null,
    created_at timestamptz not null default now(),
    revoked_at timestamptz,
    -- What it said last: written at most once a second, and no configuration.
    last_seen_at timestamptz,
    software_version text,
    acknowledged_timeline uuid,
    acknowledged_revision bigint,
    -- Resources that it cannot serve, with its reasons.
    refused jsonb not null default '[]'
);
grant select, insert, update on proxies to tollgate_runtime;

-- A proxy that renews its certificate has two for a while.
create table proxy_certificates (
    -- SHA-256 of the certificate as presented.
    digest bytea primary key,
    proxy_id uuid not null references proxies,
    expires_at timestamptz not null
);
create index proxy_certificates_proxy on proxy_certificates (proxy_id);
grant select, insert, delete on proxy_certificates to tollgate_runtime;

create table join_tokens (
    id uuid primary key,
    digest bytea not null,
    name text not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    revoked_at timestamptz,
    -- The proxy that it enrolled; it enrols no other.
    proxy_id uuid constraint join_tokens_proxy_key unique references proxies
);
grant select, insert, update on join_tokens to tollgate_runtime;

-- The person who runs the installation, and may see its proxies. The first user is one.
alter table users add column operator boolean not null default false;
