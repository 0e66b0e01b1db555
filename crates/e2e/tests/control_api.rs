//! The second face of the management API through ngrok's own clients.

use e2e::script;
use e2e::system::System;

const EVERYTHING: &[&str] = &["AI Gateway Read", "AI Gateway Write", "Account API Tokens Write"];

async fn works_with(script: &str) -> anyhow::Result<()> {
    let system = System::start().await?;
    let tenant = system.tenant("scripts").await?;
    let (_, token) = tenant.api_token(EVERYTHING).await?;
    let control = system.api().trim_end_matches("/client/v4");
    let environment = [("TOLLGATE_CONTROL_URL", control), ("TOLLGATE_API_TOKEN", token.as_str())];
    script::run(script, &environment).await?;
    Ok(())
}

#[tokio::test]
async fn the_python_client_manages_endpoints_vaults_secrets_and_keys() -> anyhow::Result<()> {
    works_with("ngrok_control.py").await
}

#[tokio::test]
async fn the_javascript_client_manages_endpoints_and_keys() -> anyhow::Result<()> {
    works_with("ngrok_control.mjs").await
}
