//! The ways in which a provider fails, and what must come of each.

/// Who is asked first unless a way needs another, and for which model.
const FIRST: &str = "openai:gpt-4o-mini";

/// A way in which the first who is asked fails.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way {
    /// What it is called, which is part of the ids of its requests.
    pub(crate) name: &'static str,
    /// Who is asked first, and for which model.
    pub(crate) first: &'static str,
    /// What this provider is asked to do.
    pub(crate) wishes: &'static str,
    /// Whether the answer is a stream.
    pub(crate) streamed: bool,
    /// For how many milliseconds the caller waits for an attempt's first byte.
    pub(crate) patience: Option<u32>,
    /// Whether anything of the request reaches the provider.
    pub(crate) arrives: bool,
    /// What the attempt's record says.
    pub(crate) told: Told,
    /// The same where credits pay and the operator's key is meant.
    pub(crate) told_on_credits: Told,
    /// What credits pay for the attempt.
    pub(crate) owed: Owed,
    /// What comes of it.
    pub(crate) then: Then,
}

/// What a record says of an attempt that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told {
    /// The provider's status, or what we would tell of it.
    pub(crate) status: i32,
    /// What went wrong.
    pub(crate) cause: &'static str,
}

/// What credits pay for an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owed {
    /// Nothing: it was the provider that failed.
    Nothing,
    /// What it has read, because it was we who gave up, and what it produced that the caller got.
    Billed,
}

/// What comes of a way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// Somebody else is asked, who answers.
    AnotherAnswers,
    /// Nobody else is asked, and the caller gets this status and finds these words.
    ItStays(u16, &'static [&'static str]),
}

const fn told(status: i32, cause: &'static str) -> Told {
    Told { status, cause }
}

/// An attempt that fails before its answer's first byte.
const BEFORE: Way = Way {
    name: "",
    first: FIRST,
    wishes: "",
    streamed: false,
    patience: None,
    arrives: true,
    told: told(0, "provider_broke_off"),
    told_on_credits: told(0, "provider_broke_off"),
    owed: Owed::Nothing,
    then: Then::AnotherAnswers,
};

const fn answers(name: &'static str, wishes: &'static str, status: i32) -> Way {
    let told = told(status, "failed_over");
    Way { name, wishes, told, told_on_credits: told, ..BEFORE }
}

const fn unreachable(name: &'static str, first: &'static str) -> Way {
    let told = told(0, "provider_unreachable");
    Way { name, first, arrives: false, told, told_on_credits: told, ..BEFORE }
}

const fn breaks(
    name: &'static str,
    wishes: &'static str,
    status: u16,
    words: &'static [&'static str],
) -> Way {
    let told = told(status as i32, "provider_broke_off");
    let then = Then::ItStays(status, words);
    Way { name, wishes, told, told_on_credits: told, then, ..BEFORE }
}

const fn is_wrong(
    name: &'static str,
    wishes: &'static str,
    status: u16,
    words: &'static [&'static str],
) -> Way {
    let told = told(status as i32, "");
    Way { name, wishes, told, told_on_credits: told, then: Then::ItStays(status, words), ..BEFORE }
}

/// All of them.
pub(crate) const WAYS: &[Way] = &[
    unreachable("refused", "mistral:mistral-small-latest"),
    unreachable("no-tls", "together:openai/gpt-oss-120b"),
    unreachable("untrusted", "fireworks:accounts/fireworks/models/gpt-oss-120b"),
    Way { told_on_credits: told(0, "operator_key_refused"), ..answers("unknown-key", "status=401", 401) },
    Way {
        told_on_credits: told(0, "operator_key_busy"),
        ..answers("busy", "status=429; retry_after=7", 429)
    },
    Way {
        told_on_credits: told(0, "operator_key_busy"),
        ..answers("busy-until-whenever", "status=429; retry_after=none", 429)
    },
    answers("error", "status=500", 500),
    answers("overloaded", "status=529", 529),
    Way { streamed: true, ..answers("error-for-a-stream", "status=500", 500) },
    Way {
        name: "slow",
        wishes: "hang",
        patience: Some(1_500),
        told: told(0, "provider_timeout"),
        told_on_credits: told(0, "provider_timeout"),
        owed: Owed::Billed,
        ..BEFORE
    },
    Way { name: "reset", wishes: "reset", ..BEFORE },
    Way { name: "hang-up", wishes: "hang_up", ..BEFORE },
    Way { streamed: true, ..Way { name: "hang-up-for-a-stream", wishes: "hang_up", ..BEFORE } },
    breaks("head-only", "head_only", 502, &["`openai` broke off"]),
    breaks("half", "half_json", 502, &["`openai` broke off"]),
    Way { streamed: true, ..breaks("head-only-of-a-stream", "head_only", 200, &["`openai` broke off"]) },
    Way {
        streamed: true,
        owed: Owed::Billed,
        ..breaks("half-a-stream", "half_stream=3", 200, &[" coin", "`openai` broke off"])
    },
    Way {
        streamed: true,
        owed: Owed::Billed,
        told: told(200, "provider_error"),
        told_on_credits: told(200, "provider_error"),
        ..breaks("error-in-a-stream", "error_in_stream=3", 200, &[" coin", "server_error"])
    },
    is_wrong("wrong", "status=400", 400, &["Your request was refused"]),
    is_wrong("unknown-model", "status=404", 404, &["model_not_found"]),
];
