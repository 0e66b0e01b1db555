//! What an `ai-gateway` action says of providers and models, in the words of the model catalogue.

use policy::actions::ai_gateway::{AiGateway, Format, Model, Provider, Surface, SurfaceName};
use providers::catalog::Dialect;
use providers::catalog::custom::CustomBase;
use providers::models::{
    ConfiguredModel, ConfiguredProvider, ConfiguredSurface, InvalidSelection, Models, Restrictions, Selection,
};

/// What callers may choose from.
pub(super) fn of(gateway: Option<&AiGateway>) -> Result<Selection, InvalidSelection> {
    let Some(gateway) = gateway else { return Ok(Selection::of(Models::current())) };
    let providers = gateway.providers.iter().map(provider).collect::<Result<_, _>>()?;
    let restrictions = Restrictions {
        only_configured_providers: gateway.only_allow_configured_providers,
        only_configured_models: gateway.only_allow_configured_models,
    };
    Selection::new(Models::current(), providers, restrictions)
}

fn provider(provider: &Provider) -> Result<ConfiguredProvider, InvalidSelection> {
    let invalid = |reason| InvalidSelection::BaseUrl { provider: provider.id.clone(), reason };
    let base = provider.base_url.as_ref().map(|base| CustomBase::parse(&base.url).map_err(invalid));
    Ok(ConfiguredProvider {
        id: provider.id.clone(),
        id_aliases: provider.id_aliases.clone(),
        display_name: provider.display_name.clone().unwrap_or_default(),
        base: base.transpose()?,
        disabled: provider.disabled,
        surfaces: provider.supported_api_surfaces.iter().map(surface).collect(),
        models: provider.models.iter().map(model).collect(),
    })
}

fn surface(surface: &Surface) -> ConfiguredSurface {
    let operation = surface.surface.map(|name| match name {
        SurfaceName::ChatCompletions => "chat/completions",
        SurfaceName::Responses => "responses",
        SurfaceName::Messages => "messages",
    });
    ConfiguredSurface {
        dialect: match surface.format {
            Format::OpenAi => Dialect::OpenAi,
            Format::Anthropic => Dialect::Anthropic,
        },
        operation: operation.map(str::to_owned),
        supported_params: surface.supported_params.clone(),
    }
}

fn model(model: &Model) -> ConfiguredModel {
    let names = |modalities: &[policy::actions::ai_gateway::Modality]| {
        modalities.iter().map(|modality| modality.name().to_owned()).collect()
    };
    ConfiguredModel {
        id: model.id.clone(),
        id_aliases: model.id_aliases.clone(),
        author_id: model.author_id.clone(),
        display_name: model.display_name.clone(),
        description: model.description.clone(),
        disabled: model.disabled,
        input_modalities: names(&model.input_modalities),
        output_modalities: names(&model.output_modalities),
        max_context_window: model.max_context_window,
        max_output_tokens: model.max_output_tokens,
        supported_features: model.supported_features.clone(),
        unsupported_params: model.unsupported_params.clone(),
    }
}

#[cfg(test)]
mod tests {
    use policy::{Operator, Policy};
    use proptest::prelude::*;
    use providers::catalog;
    use serde_json::{Value, json};

    use super::*;

    const NAMES: [&str; 8] = ["openai", "OpenAI", "gemini", "google-ai-studio", "own", "OWN", "É", "é"];
    const MODELS: [&str; 7] = ["gpt-4o", "GPT-4o", "a/b", "small", "Small", "É", "é"];

    fn some(names: &'static [&'static str], most: usize) -> impl Strategy<Value = Vec<&'static str>> {
        prop::collection::vec(prop::sample::select(names), 0..most)
    }

    fn base_url() -> impl Strategy<Value = Option<String>> {
        let path = prop::sample::select(vec![
            "",
            "/",
            "/v1",
            "//v1beta//openai/",
            "/a/../b",
            "/a%2fb",
            "/ü",
            "/a;b",
        ]);
        let host = prop::sample::select(vec![
            "a.example",
            "A.example:8443",
            "[2001:db8::1]",
            "1.2.3.4",
            "ä.example",
        ]);
        let odd = prop_oneof!["https://[ -~]{0,20}", "[ -~]{0,20}"];
        prop_oneof![
            1 => Just(None),
            4 => (host, path).prop_map(|(host, path)| Some(format!("https://{host}{path}"))),
            1 => odd.prop_map(Some),
        ]
    }

    fn configured() -> impl Strategy<Value = Value> {
        let model = (prop::sample::select(&MODELS[..]), some(&MODELS, 3))
            .prop_map(|(id, aliases)| json!({"id": id, "id_aliases": aliases}));
        let models = prop::collection::vec(model, 0..3);
        (prop::sample::select(&NAMES[..]), some(&NAMES, 2), base_url(), models).prop_map(
            |(id, aliases, base_url, models)| {
                let mut provider = json!({"id": id, "id_aliases": aliases, "models": models});
                if let Some(base_url) = base_url {
                    provider["base_url"] = json!(base_url);
                }
                provider
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]
        #[test]
        fn whatever_is_read_can_be_chosen_from(providers in prop::collection::vec(configured(), 0..3)) {
            let known = catalog::all().iter().map(|provider| (provider.id, provider.names()));
            let gateway = json!({"type": "ai-gateway", "config": {"providers": providers}});
            let text = json!({"on_http_request": [gateway]}).to_string();
            if let Ok(policy) = Policy::parse(&text, &Operator::of(known)) {
                let selection = of(policy.ai_gateway());
                prop_assert!(selection.is_ok(), "{text}: {:?}", selection.err());
            }
        }
    }
}
