//! What this product does not have. Its paths say so, instead of keeping what nothing would obey.

use axum::Router;
use axum::routing::any;

use super::access::Access;
use super::refusal::Refusal;
use crate::api::ApiState;
use crate::api::authorized::AiGatewayRead;

const PATHS: &[(&str, Refusal)] = &[
    (
        "/credentials",
        Refusal::NotOffered(
            "Credentials are for agents, and there are none here; callers present gateway keys (`/ai_gateway_api_keys`)",
        ),
    ),
    (
        "/event_destinations",
        Refusal::NotOffered(
            "Events are not sent anywhere; read the logs of a gateway, or have them exported over OpenTelemetry",
        ),
    ),
    (
        "/event_subscriptions",
        Refusal::NotOffered(
            "Events are not sent anywhere; read the logs of a gateway, or have them exported over OpenTelemetry",
        ),
    ),
    (
        "/reserved_domains",
        Refusal::NotOffered(
            "Domains are not reserved; point the name at this installation and bind it with `POST /endpoints`",
        ),
    ),
    (
        "/tls_certificates",
        Refusal::NotOffered(
            "Certificates are configured where the gateway listens, by whoever runs this installation",
        ),
    ),
];

/// The paths.
pub(super) fn routes() -> Router<ApiState> {
    let mut router = Router::new();
    for (path, refusal) in PATHS {
        let answer = move |_: Access<AiGatewayRead>| async move { refusal.clone() };
        router = router.route(path, any(answer)).route(&format!("{path}/{{*rest}}"), any(answer));
    }
    router
}
