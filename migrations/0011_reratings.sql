-- Prices that were wrong, corrected from a date on. Records stay as they were written; what changes stands
-- beside them.

create table reratings (
    id uuid primary key,
    provider text not null,
    model text not null,
    model_rule text not null,
    -- The price as it should have been.
    price jsonb not null,
    -- Requests from then on, and before `until`.
    since timestamptz not null,
    until timestamptz not null,
    -- The only account that it is about, if it is not about all.
    account_id uuid,
    -- Whether customers also pay what they were charged too little.
    charges boolean not null,
    description text not null,
    -- How far its records were looked at: all of them once `computed_at` is there.
    cursor uuid,
    computed_at timestamptz,
    posted_at timestamptz,
    created_at timestamptz not null default now()
);
grant select, insert on reratings to tollgate_runtime;
grant update (cursor, computed_at, posted_at) on reratings to tollgate_runtime;

create table rerated_records (
    rerating_id uuid not null references reratings,
    record_id uuid not null,
    account_id uuid not null,
    cost_before bigint,
    cost_after bigint not null,
    charge_before bigint not null,
    charge_after bigint not null,
    -- What the customer pays more, or less where it is below zero.
    due bigint not null,
    -- What the provider bills more, of what the operator pays.
    provider_due bigint not null,
    primary key (rerating_id, record_id)
);
create index rerated_records_record on rerated_records (record_id);
create index rerated_records_account on rerated_records (rerating_id, account_id);
create trigger rerated_records_stay before update or delete on rerated_records
    for each row execute function refuse_change();
create trigger rerated_records_stay_whole before truncate on rerated_records
    execute function refuse_change();
grant select, insert on rerated_records to tollgate_runtime;
