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
