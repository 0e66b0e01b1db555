//! The names of what spans say: OpenTelemetry's GenAI conventions where they have one, else ours.

macro_rules! attributes {
    ($($constant:ident = $name:literal;)*) => {
        $(pub(crate) const $constant: &str = $name;)*
    };
}

attributes! {
    OPERATION = "gen_ai.operation.name";
    PROVIDER = "gen_ai.provider.name";
    MODEL_ASKED = "gen_ai.request.model";
    MODEL_SERVED = "gen_ai.response.model";
    INPUT_TOKENS = "gen_ai.usage.input_tokens";
    OUTPUT_TOKENS = "gen_ai.usage.output_tokens";
    CACHED_TOKENS = "gen_ai.usage.cache_read.input_tokens";
    ERROR_TYPE = "error.type";
    METHOD = "http.request.method";
    STATUS = "http.response.status_code";
    ACCOUNT = "tollgate.account.id";
    GATEWAY = "tollgate.gateway.id";
    REQUEST = "tollgate.request.id";
    OUTCOME = "tollgate.outcome";
    KEY_SOURCE = "tollgate.key.source";
    COST = "tollgate.cost.nano_dollars";
    CHARGE = "tollgate.charge.nano_dollars";
    HELD = "tollgate.hold.nano_dollars";
    PRICE_VERSION = "tollgate.price.version";
    REMOVED_PARAMS = "tollgate.removed_params";
    PROVENANCE = "tollgate.usage.provenance";
}
