//! What the management API keeps, a file per noun. Each is called by its own name, and behind `api` too, so
//! that scripts written for ngrok's program work once its name is replaced.

mod ai_gateway_api_keys;
mod ai_gateway_provider_keys;
mod endpoints;
mod secrets;
mod vaults;

use clap::Subcommand;

use super::api::Api;
use super::output::Output;
use super::session::On;

#[derive(Debug, Subcommand)]
pub(crate) enum Resource {
    /// Secrets that traffic policies read with `secrets.get`
    Secrets(On<secrets::Verb>),
    /// Vaults, which hold secrets
    Vaults(On<vaults::Verb>),
    /// Endpoints: hosts that callers ask, each with a gateway and its traffic policy
    Endpoints(On<endpoints::Verb>),
    /// Keys that callers present to an endpoint
    AiGatewayApiKeys(On<ai_gateway_api_keys::Verb>),
    /// Keys at providers that belong to one caller's key
    AiGatewayProviderKeys(On<ai_gateway_provider_keys::Verb>),
}

impl Resource {
    /// Does what is asked, and shows it in this form unless another was chosen.
    pub(crate) async fn run(self, usual: Output) -> anyhow::Result<()> {
        match self {
            Self::Secrets(on) => {
                let (api, output, verb) = on.opened(usual)?;
                secrets::run(&api, output, verb).await
            }
            Self::Vaults(on) => {
                let (api, output, verb) = on.opened(usual)?;
                vaults::run(&api, output, verb).await
            }
            Self::Endpoints(on) => {
                let (api, output, verb) = on.opened(usual)?;
                endpoints::run(&api, output, verb).await
            }
            Self::AiGatewayApiKeys(on) => {
                let (api, output, verb) = on.opened(usual)?;
                ai_gateway_api_keys::run(&api, output, verb).await
            }
            Self::AiGatewayProviderKeys(on) => {
                let (api, output, verb) = on.opened(usual)?;
                ai_gateway_provider_keys::run(&api, output, verb).await
            }
        }
    }
}

impl<V: Subcommand> On<V> {
    fn opened(self, usual: Output) -> anyhow::Result<(Api, Output, V)> {
        let Self { place, output, verb } = self;
        Ok((place.api()?, output.output.unwrap_or(usual), verb))
    }
}
