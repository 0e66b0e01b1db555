-- The ledger: money moves between named accounts by transfers, which cannot fail to sum to zero and are
-- never changed; and what the desks carry between it and Redis.

create function refuse_ledger_change() returns trigger language plpgsql as $$
begin
    raise exception '% is part of the ledger: its rows are never changed', tg_table_name
        using errcode = 'restrict_violation';
end
$$;

-- Where money is. The balance is what came in less what went out, so that those of all accounts sum to
-- zero: what customers have and what was earned is above zero; what was received from them, given to
-- them or lost is below.
create table ledger_accounts (
    -- For a customer's credits the id of the account itself.
    id uuid primary key,
    kind text not null constraint ledger_accounts_kind check (kind in (
        'credits', 'promotion', 'receivable',
        'revenue', 'provider_cost', 'payments_clearing', 'shortfall', 'adjustments', 'write_offs', 'fees')),
    -- Whose it is; null for the operator's, of which there is one per shard so that no row is hot.
    account_id uuid,
    shard smallint not null constraint ledger_accounts_shard check (shard between 0 and 255),
    -- Nano-dollars.
    balance bigint not null default 0,
    -- On a customer's credits: how often money arrived, and how many transactions there were.
    credit_sequence bigint not null default 0,
    transaction_sequence bigint not null default 0,
    -- On a promotion: when what is left of it goes.
    expires_at timestamptz,
    opened_at timestamptz not null default now(),
    constraint ledger_accounts_owner
        check ((account_id is not null) = (kind in ('credits', 'promotion', 'receivable'))),
    constraint ledger_accounts_credits_id check (kind <> 'credits' or id = account_id),
    constraint ledger_accounts_own_shard
        check (account_id is null or shard = get_byte(uuid_send(account_id), 15)),
    constraint ledger_accounts_expiry check ((expires_at is not null) = (kind = 'promotion')),
    constraint ledger_accounts_never_below_zero
        check (kind not in ('credits', 'promotion') or balance >= 0)
-- No index knows the balance, and pages have room: so a balance changes in its place.
) with (fillfactor = 70);
create unique index ledger_accounts_operator_key on ledger_accounts (shard, kind) where account_id is null;
create unique index ledger_accounts_customer_key on ledger_accounts (account_id, kind)
    where account_id is not null and kind <> 'promotion';
-- In the order in which they are spent.
create index ledger_accounts_promotions on ledger_accounts (account_id, expires_at, id)
    where kind = 'promotion';

create function refuse_other_ledger_account() returns trigger language plpgsql as $$
begin
    if (new.id, new.kind, new.account_id, new.shard, new.expires_at, new.opened_at)
        is distinct from (old.id, old.kind, old.account_id, old.shard, old.expires_at, old.opened_at)
    then
        raise exception 'a ledger account stays what it was opened as' using errcode = 'restrict_violation';
    end if;
    return new;
end
$$;
create trigger ledger_accounts_stay_what_they_are before update on ledger_accounts
    for each row execute function refuse_other_ledger_account();
create trigger ledger_accounts_stay before delete on ledger_accounts
    for each row execute function refuse_ledger_change();
create trigger ledger_accounts_stay_whole before truncate on ledger_accounts
    execute function refuse_ledger_change();
grant select, insert on ledger_accounts to tollgate_runtime;
grant update (balance, credit_sequence, transaction_sequence) on ledger_accounts to tollgate_runtime;

-- Why money moved: the same cause never moves it twice.
create table ledger_transactions (
    id uuid primary key,
    account_id uuid not null,
    -- Which of the account's transactions it is, from 1 without a gap.
    sequence bigint not null,
    cause_kind text not null constraint ledger_transactions_cause_kind check (cause_kind <> ''),
    cause_id text not null constraint ledger_transactions_cause_id check (cause_id <> ''),
    description text not null default '',
    -- By how much the customer's credits and promotions grew, and what they came to.
    amount bigint not null,
    balance bigint not null constraint ledger_transactions_never_below_zero check (balance >= 0),
    at timestamptz not null default clock_timestamp(),
    constraint ledger_transactions_cause_key unique (cause_kind, cause_id),
    constraint ledger_transactions_sequence_key unique (account_id, sequence)
);
create index ledger_transactions_kind on ledger_transactions (account_id, cause_kind, sequence);
create index ledger_transactions_at on ledger_transactions (account_id, at);
create trigger ledger_transactions_stay before update or delete on ledger_transactions
    for each row execute function refuse_ledger_change();
create trigger ledger_transactions_stay_whole before truncate on ledger_transactions
    execute function refuse_ledger_change();
grant select, insert on ledger_transactions to tollgate_runtime;

create table ledger_transfers (
    transaction_id uuid not null references ledger_transactions,
    line smallint not null,
    from_account uuid not null references ledger_accounts,
    to_account uuid not null references ledger_accounts,
    amount bigint not null constraint ledger_transfers_amount check (amount > 0),
    primary key (transaction_id, line),
    constraint ledger_transfers_two_accounts check (from_account <> to_account)
);
create trigger ledger_transfers_stay before update or delete on ledger_transfers
    for each row execute function refuse_ledger_change();
create trigger ledger_transfers_stay_whole before truncate on ledger_transfers
    execute function refuse_ledger_change();
grant select, insert on ledger_transfers to tollgate_runtime;

-- Money that arrived and that the desk has not told Redis of yet.
create table ledger_credits (
    account_id uuid not null,
    -- The credits' `credit_sequence` by then.
    sequence bigint not null,
    amount bigint not null constraint ledger_credits_amount check (amount > 0),
    transaction_id uuid not null references ledger_transactions,
    at timestamptz not null default now(),
    primary key (account_id, sequence)
);
grant select, insert, delete on ledger_credits to tollgate_runtime;

-- Money that is to leave: the desk sets it aside in Redis before the ledger gives it away, so that it
-- is not spent meanwhile.
create table ledger_withdrawals (
    -- Under this id it is set aside.
    id uuid primary key,
    account_id uuid not null,
    -- The customer's credits or a promotion, and a kind of the operator's accounts.
    from_account uuid not null references ledger_accounts,
    to_kind text not null,
    amount bigint not null constraint ledger_withdrawals_amount check (amount > 0),
    -- What happens to what is not there: `refuse` all of it, `owe` it, or `leave` it.
    missing text not null constraint ledger_withdrawals_missing check (missing in ('refuse', 'owe', 'leave')),
    cause_kind text not null,
    cause_id text not null,
    description text not null default '',
    requested_at timestamptz not null default now(),
    -- What is left of a promotion goes when it expires.
    not_before timestamptz not null default now(),
    state text not null default 'requested'
        constraint ledger_withdrawals_state check (state in ('requested', 'decided', 'finished')),
    -- Once decided: what left the customer's account and what he owes (both 0 if it was refused), by which
    -- transaction, and what Redis is to be told in which era: how much had been set aside, how much of it is free again.
    taken bigint,
    owed bigint,
    transaction_id uuid references ledger_transactions,
    era bigint,
    collected bigint,
    given_back bigint,
    decided_at timestamptz,
    constraint ledger_withdrawals_cause_key unique (cause_kind, cause_id),
    constraint ledger_withdrawals_decided check ((state = 'requested') = (taken is null))
);
create index ledger_withdrawals_open on ledger_withdrawals (not_before) where state <> 'finished';
create index ledger_withdrawals_account on ledger_withdrawals (account_id, requested_at);
grant select, insert on ledger_withdrawals to tollgate_runtime;
grant update (state, taken, owed, transaction_id, era, collected, given_back, decided_at)
    on ledger_withdrawals to tollgate_runtime;

-- What was used of limits on money and tokens, by the counters' windows, so that a Redis that lost its
-- counters can be given them again.
create table spend_rollups (
    account_id uuid not null,
    counter text not null,
    measure text not null,
    window_number bigint not null,
    value bigint not null,
    changed_at timestamptz not null default now(),
    primary key (account_id, counter, measure, window_number)
);
create index spend_rollups_changed_at on spend_rollups (changed_at);
grant select, insert, update, delete on spend_rollups to tollgate_runtime;

-- What Redis is still to be told about the entries up to `position`; and which starts of proxies held
-- money in the shard when last seen, who must declare it when an era begins.
alter table money_shards add column pending jsonb;
alter table money_shards add column incarnations uuid[] not null default '{}';
