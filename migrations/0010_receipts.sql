-- What receipts need: the key that signs them, and every price list that usage was ever rated by.

-- Seeds of Ed25519 keys of the installation, sealed under the `contents` root keys.
create table signing_keys (
    purpose text primary key,
    sealed bytea not null,
    created_at timestamptz not null default now()
);
grant select, insert, update on signing_keys to tollgate_runtime;

-- Price catalogues by version, as releases brought them: a receipt quotes the prices of its own day.
create table price_catalogues (
    version text primary key,
    effective_from timestamptz not null,
    -- gzip of the catalogue's lines.
    document bytea not null,
    registered_at timestamptz not null default now()
);
create trigger price_catalogues_stay before update or delete on price_catalogues
    for each row execute function refuse_change();
create trigger price_catalogues_stay_whole before truncate on price_catalogues
    execute function refuse_change();
grant select, insert on price_catalogues to tollgate_runtime;
