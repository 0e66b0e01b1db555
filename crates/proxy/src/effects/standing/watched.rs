//! One attempt under watch, from its plan to its end.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use model::AccountId;
use model::id::GatewayInternalId;
use model::usage::{Outcome, Provenance, UsageRecord};
use policy::facts::Tokens;
use providers::catalog::QuotaHeaders;

use super::window::{Attempt, How};
use super::{ModelAt, Standing};
use crate::refusal::Refusal;

/// Who asks for which model with which key.
#[derive(Debug, Clone)]
pub struct Watched {
    /// Who owns the gateway.
    pub account: AccountId,
    /// Whose policy looks at how models and keys fare.
    pub gateway: GatewayInternalId,
    /// The model; `None` for one that neither the catalogue nor the policy knows, of which there may be any number.
    pub model: Option<ModelAt>,
    /// The key, by what it is called in strategies and logs; `None` for one that is not of the gateway's.
    pub key: Option<Arc<str>>,
    how: Option<How>,
}

impl Watched {
    /// An attempt that is planned.
    pub fn new(
        (account, gateway): (AccountId, GatewayInternalId),
        model: Option<ModelAt>,
        key: Option<Arc<str>>,
    ) -> Self {
        Self { account, gateway, model, key, how: None }
    }

    /// The provider answers.
    pub fn answered(
        &mut self,
        standing: &Standing,
        quota: QuotaHeaders,
        status: StatusCode,
        headers: &HeaderMap,
        now_ms: u64,
    ) {
        self.how = Some(match status.as_u16() {
            200..400 => How::Well,
            408 => How::TimedOut,
            429 => How::OneTooMany,
            100..500 => How::Caller,
            _ => How::Provider,
        });
        if let Some(key) = &self.key {
            standing.told(self.account, key, self.model, quota.read(headers), now_ms);
        }
    }

    /// The attempt came to nothing. What we refuse ourselves says nothing of the provider.
    pub fn refused(&mut self, refusal: &Refusal) {
        self.how = match refusal {
            Refusal::ProviderTimeout { .. } | Refusal::ProviderStill { .. } => Some(How::TimedOut),
            Refusal::ProviderUnreachable { .. } | Refusal::ProviderBrokeOff { .. } => Some(How::Provider),
            Refusal::OperatorKeyBusy { .. } => Some(How::OneTooMany),
            Refusal::OperatorKeyRefused { .. } => Some(How::Caller),
            _ => self.how,
        };
    }

    /// How it went, now that it is over; `None` if nobody was asked.
    pub(super) fn attempt(&self, record: &UsageRecord, took: Duration) -> Option<Attempt> {
        let how = match self.how? {
            // An error that came in the stream of an answer that began well.
            How::Well if record.outcome == Outcome::Failed => How::Provider,
            how => how,
        };
        let timings = &record.timings;
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let upstream = if timings.upstream_last_byte > 0 { timings.upstream_last_byte } else { took };
        let (input, output) = (record.tokens.total_input(), record.tokens.total_output());
        let tokens = match record.provenance {
            Provenance::Reported => {
                Tokens { provider_input: input, provider_output: output, ..Tokens::default() }
            }
            _ => Tokens { estimated_input: input, estimated_output: output, ..Tokens::default() },
        };
        let streamed = record.streamed && how == How::Well;
        let first_token = streamed.then_some(timings.upstream_first_byte);
        let rest = timings.upstream_last_byte.saturating_sub(timings.upstream_first_byte);
        let per_token = first_token.and_then(|_| rest.checked_div(output));
        Some(Attempt { how, own: timings.own, upstream, first_token, per_token, tokens })
    }
}
