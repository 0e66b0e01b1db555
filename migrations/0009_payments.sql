-- How credits are bought: payments and what became of them, automatic top-ups, vouchers; and who is told
-- when a balance runs low. The money itself is in the ledger.

-- An account as the payment provider's customer, and the card that it left there.
create table payers (
    account_id uuid primary key references accounts on delete cascade,
    customer text not null constraint payers_customer_key unique,
    payment_method text,
    brand text not null default '',
    last4 text not null default '',
    created_at timestamptz not null default now()
);
grant select, insert, update, delete on payers to tollgate_runtime;

-- One purchase of credits. It is here before the provider hears of it, and stays when its account goes.
create table payments (
    -- Also the key by which the provider knows a repeated request.
    id uuid primary key,
    account_id uuid not null,
    origin text not null constraint payments_origin check (origin in ('manual', 'auto')),
    -- What the provider is asked, the same every time.
    customer text not null,
    payment_method text,
    -- Nano-dollars: the credits, and what the buyer pays on top of them. Together they are whole cents.
    amount bigint not null constraint payments_amount check (amount > 0),
    fee bigint not null constraint payments_fee check (fee >= 0),
    -- The provider's name for it; null until it has answered.
    intent text constraint payments_intent_key unique,
    state text not null default 'pending'
        constraint payments_state check (state in ('pending', 'succeeded', 'stranded', 'failed', 'canceled')),
    error text not null default '',
    -- Cents that went back to the buyer, as last heard; it only grows.
    refunded bigint not null default 0,
    created_by text,
    created_at timestamptz not null,
    settled_at timestamptz,
    -- When the provider is to be asked what became of it, should it not say so itself.
    next_look_at timestamptz not null,
    constraint payments_whole_cents check ((amount + fee) % 10000000 = 0),
    constraint payments_settled check ((settled_at is null) = (state = 'pending'))
);
create index payments_account on payments (account_id, id desc);
create index payments_pending on payments (next_look_at) where state = 'pending';
grant select, insert on payments to tollgate_runtime;
grant update (intent, state, error, refunded, settled_at, next_look_at) on payments to tollgate_runtime;

-- A buyer's bank wants its money back. While that is open the money is gone, and stays so unless it is won.
create table payment_disputes (
    -- The provider's name for it.
    id text primary key,
    payment_id uuid not null references payments,
    cents bigint not null,
    state text not null constraint payment_disputes_state check (state in ('inquiry', 'open', 'won', 'lost'))
);
create index payment_disputes_payment on payment_disputes (payment_id);
grant select, insert, update on payment_disputes to tollgate_runtime;

-- What of a payment was taken back from its buyer's account, or given again (below zero): nano-dollars of
-- credits and of fee. The sum follows what is known of refunds and disputes.
create table payment_reversals (
    payment_id uuid not null references payments,
    reason text not null constraint payment_reversals_reason check (reason in ('refund', 'dispute')),
    number integer not null,
    amount bigint not null,
    fee bigint not null,
    at timestamptz not null default now(),
    primary key (payment_id, reason, number)
);
grant select, insert on payment_reversals to tollgate_runtime;

-- What the provider said of its own accord. Each is heard once.
create table payment_events (
    id text primary key,
    kind text not null,
    at timestamptz not null default now()
);
create index payment_events_at on payment_events (at);
grant select, insert, delete on payment_events to tollgate_runtime;

-- Buys credits when the balance falls below a threshold.
create table auto_topups (
    account_id uuid primary key references accounts on delete cascade,
    -- Nano-dollars.
    amount bigint not null,
    threshold bigint not null,
    -- The payment under way.
    payment_id uuid references payments,
    -- Failures since the last success, and when the next attempt may be made.
    failures integer not null default 0,
    next_attempt_at timestamptz not null default now(),
    error text,
    last_failed_at timestamptz,
    -- Not tried again until somebody sets it anew.
    disabled_reason text
);
create index auto_topups_payment on auto_topups (payment_id) where payment_id is not null;
grant select, insert, update, delete on auto_topups to tollgate_runtime;

-- Credits for whoever has the code, once.
create table vouchers (
    id uuid primary key,
    -- SHA-256 of the code, which is shown once and kept nowhere, and its last characters.
    digest bytea not null constraint vouchers_digest_key unique check (length(digest) = 32),
    hint text not null,
    name text not null,
    -- Nano-dollars.
    amount bigint not null constraint vouchers_amount check (amount > 0),
    -- Until when the code is good.
    expires_at timestamptz not null,
    -- Until when its credits are, if they are promotional; null if they were paid for and stay.
    credits_expire_at timestamptz,
    created_by text,
    created_at timestamptz not null default now(),
    revoked_at timestamptz,
    redeemed_at timestamptz,
    redeemed_by uuid,
    constraint vouchers_redeemed check ((redeemed_at is null) = (redeemed_by is null)),
    constraint vouchers_once check (revoked_at is null or redeemed_at is null),
    constraint vouchers_credits_outlast check (credits_expire_at >= expires_at)
);
create index vouchers_redeemed_by on vouchers (redeemed_by) where redeemed_by is not null;
grant select, insert on vouchers to tollgate_runtime;
grant update (revoked_at, redeemed_at, redeemed_by) on vouchers to tollgate_runtime;

-- Who is told when a balance falls below a threshold.
create table notice_settings (
    account_id uuid primary key references accounts on delete cascade,
    -- Nano-dollars; null for no notice.
    threshold bigint,
    emails text[] not null default '{}',
    webhook_url text,
    -- What signs the webhook's calls, sealed under the account's key for contents.
    webhook_secret bytea,
    -- Since when the balance is below the threshold: the crossing has been told of.
    below_since timestamptz,
    modified_at timestamptz not null default now(),
    constraint notice_settings_webhook check ((webhook_url is null) = (webhook_secret is null))
);
grant select, insert, update, delete on notice_settings to tollgate_runtime;

create table notices (
    id uuid primary key,
    account_id uuid not null references accounts on delete cascade,
    kind text not null constraint notices_kind check (kind in ('low_balance')),
    -- Nano-dollars, when it was noticed.
    balance bigint not null,
    threshold bigint not null,
    at timestamptz not null
);
create index notices_account on notices (account_id, id desc);
grant select, insert, delete on notices to tollgate_runtime;

-- One addressee of a notice.
create table notice_deliveries (
    id uuid primary key,
    notice_id uuid not null references notices on delete cascade,
    channel text not null constraint notice_deliveries_channel check (channel in ('email', 'webhook')),
    target text not null,
    state text not null default 'pending'
        constraint notice_deliveries_state check (state in ('pending', 'delivered', 'given_up')),
    attempts integer not null default 0,
    next_attempt_at timestamptz not null,
    error text not null default '',
    finished_at timestamptz
);
create index notice_deliveries_notice on notice_deliveries (notice_id);
create index notice_deliveries_pending on notice_deliveries (next_attempt_at) where state = 'pending';
grant select, insert, update, delete on notice_deliveries to tollgate_runtime;

-- What an account spent of its credits in a month, by model.
create index usage_records_credits on usage_records (account_id, id) where key_source = 'credits';
