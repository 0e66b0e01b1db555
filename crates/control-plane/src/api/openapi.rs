//! The OpenAPI document, generated from the routes, and the page that shows it.

use std::sync::Arc;

use axum::Router;
use axum::http::header;
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, OpenApi, PathItem, Ref, RefOr, Required, ResponseBuilder, ServerBuilder,
};
use utoipa::{OpenApi as _, ToSchema};

use super::error::{Failure, FailureDetail};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Tollgate management API",
        description = "Cloudflare's AI Gateway API (`/client/v4`), extended in the same manner where it \
                       has no word. Every path is served with and without `/client/v4`. Successful answers \
                       are `{success, result, errors, messages}`, lists add `result_info`.",
    ),
    components(schemas(Failure, FailureDetail))
)]
struct Document;

/// The document before any route has been added.
pub fn empty() -> OpenApi {
    Document::openapi()
}

/// Adds what is true of every route, so that none has to say it: how one authenticates, what the
/// ids in its path are called and what a refusal looks like.
pub fn finished(mut document: OpenApi) -> OpenApi {
    document.servers = Some(vec![ServerBuilder::new().url("/client/v4").build()]);
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("An API token (`tg_api_…`), or a session's access token"))
        .build();
    document.components.get_or_insert_default().add_security_scheme("bearer", SecurityScheme::Http(bearer));
    document.security = Some(vec![SecurityRequirement::new("bearer", Vec::<String>::new())]);
    for (path, item) in &mut document.paths.paths {
        let ids: Vec<&str> =
            path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
        for operation in operations(item) {
            describe_ids(operation, &ids);
            add_refusal(operation);
        }
    }
    document
}

/// Every operation of a path.
fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    [get, put, post, delete, patch].into_iter().flatten()
}

fn describe_ids(operation: &mut Operation, ids: &[&str]) {
    let parameters = operation.parameters.get_or_insert_default();
    for id in ids {
        let known =
            |parameter: &Parameter| parameter.name == *id && parameter.parameter_in == ParameterIn::Path;
        if !parameters.iter().any(known) {
            let schema = ObjectBuilder::new().schema_type(Type::String);
            let parameter = ParameterBuilder::new()
                .name(*id)
                .parameter_in(ParameterIn::Path)
                .required(Required::True)
                .schema(Some(schema));
            parameters.push(parameter.build());
        }
    }
}

fn add_refusal(operation: &mut Operation) {
    let body = ContentBuilder::new().schema(Some(Ref::from_schema_name(Failure::name()))).build();
    let refusal = ResponseBuilder::new().description("A refusal").content("application/json", body).build();
    operation.responses.responses.entry("default".to_owned()).or_insert(RefOr::T(refusal));
}

/// `/openapi.json` and `/docs`.
pub fn routes<S: Clone + Send + Sync + 'static>(document: OpenApi) -> Router<S> {
    let document = Arc::new(document);
    let page = || async {
        // The page is ours to the last byte; nothing is fetched but the document beside it.
        let policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                      connect-src 'self'; base-uri 'none'; frame-ancestors 'none'";
        ([(header::CONTENT_SECURITY_POLICY, policy)], Html(include_str!("docs.html"))).into_response()
    };
    Router::new()
        .route("/openapi.json", get(move || async move { axum::Json(document.as_ref()).into_response() }))
        .route("/docs", get(page))
}
