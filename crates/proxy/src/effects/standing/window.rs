//! What happened in the last five minutes.

use std::collections::VecDeque;

use policy::facts::{ErrorRates, Latencies, Metrics, Tokens};

use super::latency::{Latency, Sum};

/// The window moves on by this much at a time.
const PART_MS: u64 = 30_000;
/// So many parts are the window: five minutes.
const PARTS: u64 = 10;

/// How attempts went lately, in parts of half a minute. Parts in which nothing happened take no room.
#[derive(Debug, Clone, Default)]
pub(super) struct Window {
    /// The oldest first.
    parts: VecDeque<Part>,
}

/// How an attempt went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attempt {
    pub(super) how: How,
    /// How long it took us, in microseconds.
    pub(super) own: u64,
    /// How long it took the provider.
    pub(super) upstream: u64,
    /// How long until an answer that was streamed began.
    pub(super) first_token: Option<u64>,
    /// How long from token to token of it.
    pub(super) per_token: Option<u64>,
    pub(super) tokens: Tokens,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Well,
    /// It took too long.
    TimedOut,
    /// It was one too many.
    OneTooMany,
    /// The provider found fault with the request, or with the key.
    Caller,
    /// The provider failed, or could not be reached.
    Provider,
}

#[derive(Debug, Clone, Default)]
struct Part {
    number: u64,
    requests: u64,
    timed_out: u64,
    one_too_many: u64,
    caller: u64,
    provider: u64,
    tokens: Tokens,
    own: Latency,
    upstream: Latency,
    first_token: Latency,
    per_token: Latency,
}

impl Window {
    pub(super) fn note(&mut self, attempt: &Attempt, now_ms: u64) {
        // A clock that is set back must not bring parts out of their order.
        let number = (now_ms / PART_MS).max(self.parts.back().map_or(0, |last| last.number));
        while self.parts.front().is_some_and(|first| first.number + PARTS <= number) {
            self.parts.pop_front();
        }
        if self.parts.back().is_none_or(|last| last.number < number) {
            self.parts.push_back(Part { number, ..Part::default() });
        }
        if let Some(part) = self.parts.back_mut() {
            part.note(attempt);
        }
    }

    /// What it comes to. Quotas are not a matter of time.
    pub(super) fn metrics(&self, now_ms: u64) -> Metrics {
        let (now, empty) = (now_ms / PART_MS, Self::empty(now_ms));
        let mut sum = Part::default();
        let [mut own, mut upstream, mut first_token, mut per_token] = [(); 4].map(|()| Sum::default());
        for part in self.parts.iter().filter(|part| part.number + PARTS > now) {
            sum.requests += part.requests;
            sum.timed_out += part.timed_out;
            sum.one_too_many += part.one_too_many;
            sum.caller += part.caller;
            sum.provider += part.provider;
            add(&mut sum.tokens, part.tokens);
            own.add(&part.own);
            upstream.add(&part.upstream);
            first_token.add(&part.first_token);
            per_token.add(&part.per_token);
        }
        #[expect(clippy::cast_precision_loss, reason = "a share of requests need not be exact")]
        let share = |some: u64| if some == 0 { 0.0 } else { some as f64 / sum.requests as f64 };
        Metrics {
            request_count: sum.requests,
            latency: Latencies {
                gateway: own.mean_and_p95().unwrap_or_default(),
                upstream: upstream.mean_and_p95().unwrap_or_default(),
                time_to_first_token: first_token.mean_and_p95(),
                time_per_output_token: per_token.mean_and_p95(),
            },
            error_rate: ErrorRates {
                total: share(sum.timed_out + sum.one_too_many + sum.caller + sum.provider),
                timeout: share(sum.timed_out),
                rate_limit: share(sum.one_too_many),
                client: share(sum.caller),
                server: share(sum.provider),
            },
            token: Some(sum.tokens),
            ..empty
        }
    }

    /// What nothing comes to, which is asked about most: there are hundreds of models.
    pub(super) fn empty(now_ms: u64) -> Metrics {
        let seconds = |ms: u64| u32::try_from(ms / 1000).unwrap_or(u32::MAX);
        Metrics {
            start_time: seconds((now_ms / PART_MS + 1).saturating_sub(PARTS) * PART_MS),
            end_time: seconds(now_ms),
            token: Some(Tokens::default()),
            ..Metrics::default()
        }
    }

    /// About how much room it takes, in bytes.
    pub(super) fn weight(&self) -> usize {
        let latencies = self.parts.iter().flat_map(|part| {
            let Part { own, upstream, first_token, per_token, .. } = part;
            [own, upstream, first_token, per_token]
        });
        latencies.map(Latency::weight).sum::<usize>() + self.parts.capacity() * size_of::<Part>()
    }
}

impl Part {
    fn note(&mut self, attempt: &Attempt) {
        let Attempt { how, own, upstream, first_token, per_token, tokens } = *attempt;
        self.requests += 1;
        match how {
            How::Well => (),
            How::TimedOut => self.timed_out += 1,
            How::OneTooMany => self.one_too_many += 1,
            How::Caller => self.caller += 1,
            How::Provider => self.provider += 1,
        }
        self.own.note(own);
        self.upstream.note(upstream);
        if let Some(first_token) = first_token {
            self.first_token.note(first_token);
        }
        if let Some(per_token) = per_token {
            self.per_token.note(per_token);
        }
        add(&mut self.tokens, tokens);
    }
}

fn add(sum: &mut Tokens, tokens: Tokens) {
    let Tokens { provider_input, provider_output, estimated_input, estimated_output } = tokens;
    for (sum, some) in [
        (&mut sum.provider_input, provider_input),
        (&mut sum.provider_output, provider_output),
        (&mut sum.estimated_input, estimated_input),
        (&mut sum.estimated_output, estimated_output),
    ] {
        *sum = sum.saturating_add(some);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000;

    pub(crate) fn attempt(how: How) -> Attempt {
        let tokens = Tokens { provider_input: 10, provider_output: 3, ..Tokens::default() };
        Attempt { how, own: 1_000, upstream: 200_000, first_token: None, per_token: None, tokens }
    }

    #[test]
    fn what_is_new_reads_as_zeros() {
        let metrics = Window::default().metrics(20 * MINUTE);
        assert_eq!((metrics.request_count, metrics.error_rate), (0, ErrorRates::default()));
        assert_eq!(metrics.latency, Latencies::default());
        assert_eq!((metrics.start_time, metrics.end_time), (930, 1200));
    }

    #[test]
    fn attempts_are_counted_by_how_they_ended() {
        let mut window = Window::default();
        let all = [How::Well, How::Well, How::TimedOut, How::OneTooMany, How::Caller, How::Provider];
        all.into_iter().for_each(|how| window.note(&attempt(how), MINUTE));
        window.note(
            &Attempt { first_token: Some(40_000), per_token: Some(9_600), ..attempt(How::Well) },
            MINUTE,
        );
        window.note(&attempt(How::Provider), MINUTE);
        let metrics = window.metrics(MINUTE);
        let rates =
            ErrorRates { total: 0.625, timeout: 0.125, rate_limit: 0.125, client: 0.125, server: 0.25 };
        assert_eq!((metrics.request_count, metrics.error_rate), (8, rates));
        assert_eq!(metrics.latency.gateway, (1, 1));
        assert_eq!(metrics.latency.upstream.0, 200);
        assert_eq!(metrics.latency.time_to_first_token.map(|(mean, _)| mean), Some(40));
        assert_eq!(metrics.latency.time_per_output_token, Some((10, 9)));
        let tokens = Tokens { provider_input: 80, provider_output: 24, ..Tokens::default() };
        assert_eq!((metrics.token, metrics.quota), (Some(tokens), None));
    }

    #[test]
    fn what_is_older_than_five_minutes_is_forgotten_bit_by_bit() {
        let mut window = Window::default();
        for at in 0..20 {
            window.note(&attempt(How::Well), at * MINUTE / 2);
        }
        let count = |window: &Window, at: u64| window.metrics(at).request_count;
        assert_eq!(count(&window, 19 * MINUTE / 2), 10);
        assert_eq!(count(&window, 19 * MINUTE / 2 + 29_999), 10);
        assert_eq!(count(&window, 10 * MINUTE), 9);
        assert_eq!(count(&window, 14 * MINUTE), 1);
        assert_eq!(count(&window, 15 * MINUTE), 0);
        assert!(window.parts.len() <= 10);
        window.note(&attempt(How::Well), 60 * MINUTE);
        assert_eq!(window.parts.len(), 1);
    }

    #[test]
    fn a_clock_that_is_set_back_loses_nothing() {
        let mut window = Window::default();
        window.note(&attempt(How::Well), 10 * MINUTE);
        window.note(&attempt(How::Well), 2 * MINUTE);
        assert_eq!((window.parts.len(), window.metrics(10 * MINUTE).request_count), (1, 2));
        assert_eq!(window.metrics(2 * MINUTE).request_count, 2);
    }

    #[test]
    fn the_room_that_it_takes_is_bounded() {
        let mut window = Window::default();
        for at in 0..2_000u64 {
            let upstream = at * at * 997 % 600_000_000;
            let streamed = Attempt { upstream, first_token: Some(upstream / 3), ..attempt(How::Well) };
            window.note(&streamed, at * 1_000);
        }
        assert!(window.weight() < 64 << 10, "{}", window.weight());
    }
}
