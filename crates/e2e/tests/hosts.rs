//! Gateways at hosts of their own, set up through the second face of the management API and asked by the
//! providers' own clients.

use e2e::script;
use e2e::system::System;

const EVERYTHING: &[&str] = &["AI Gateway Read", "AI Gateway Write", "Account API Tokens Write"];

#[tokio::test]
async fn openais_page_works_in_all_its_forms_at_a_host() -> anyhow::Result<()> {
    let system = System::start().await?;
    system.store_operator_key().await?;
    let tenant = system.tenant("hosts").await?;
    system.grant(&tenant, 10_000_000_000).await?;
    let (_, token) = tenant.api_token(EVERYTHING).await?;
    let control = system.api().trim_end_matches("/client/v4");
    let gateway = system.url().trim_start_matches("http://");
    let environment = [
        ("TOLLGATE_CONTROL_URL", control),
        ("TOLLGATE_API_TOKEN", token.as_str()),
        ("TOLLGATE_GATEWAY_ADDRESS", gateway),
    ];
    script::run("hosts.py", &environment).await?;
    Ok(())
}
