//! What policies may say and this release's proxies do not do yet. Such a policy is refused by name, where it
//! is stored and where it would be served, rather than obeyed in part.

use crate::actions::Action;
use crate::actions::ai_gateway::{AiGateway, OnError, Provider};
use crate::document::policy::Policy;
use crate::phase::Phase;

impl Policy {
    /// What of it is not done yet, each once; empty for a policy that can be served.
    pub fn unserved(&self) -> Vec<&'static str> {
        let mut found = Vec::new();
        for phase in Phase::ALL {
            for action in self.rules(phase).iter().flat_map(|rule| &rule.actions) {
                found.extend(unserved(phase, action));
            }
        }
        if let Some(gateway) = self.ai_gateway() {
            found.extend(of_gateway(gateway));
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

fn unserved(phase: Phase, action: &Action) -> Option<&'static str> {
    match action {
        Action::HttpRequest(_) if phase != Phase::Request => Some("`http-request` when an answer is there"),
        Action::CompressResponse(_) => Some("the action `compress-response`"),
        Action::Log(_) => Some("the action `log`"),
        Action::FindReplace(_) if phase != Phase::Request => Some("replacing text in answers"),
        _ => None,
    }
}

fn of_gateway(gateway: &AiGateway) -> Vec<&'static str> {
    let any = |is: fn(&Provider) -> bool| gateway.providers.iter().any(is);
    let found = [
        (any(|provider| !provider.known || provider.base_url.is_some()), "`base_url` of a provider"),
        (gateway.on_error == OnError::Continue, "`on_error: continue` of `ai-gateway`"),
        (!gateway.model_selection.is_empty(), "`model_selection`"),
        (!gateway.api_key_selection.is_empty(), "`api_key_selection`"),
        (gateway.max_input_tokens.is_some(), "`max_input_tokens`"),
        (gateway.max_output_tokens.is_some(), "`max_output_tokens`"),
        (
            any(|provider| {
                provider.supported_api_surfaces.iter().any(|one| !one.supported_params.is_empty())
            }),
            "`supported_params`",
        ),
        (
            any(|provider| provider.models.iter().any(|model| !model.unsupported_params.is_empty())),
            "`unsupported_params`",
        ),
    ];
    found.into_iter().filter_map(|(is_there, name)| is_there.then_some(name)).collect()
}
