//! The management API through Cloudflare's own clients.

use e2e::script;
use e2e::system::System;

async fn works_with(scripts: &[&str]) -> anyhow::Result<()> {
    let system = System::start().await?;
    let tenant = system.tenant("clients").await?;
    for script in scripts {
        let environment = [
            ("TOLLGATE_API_URL", system.api()),
            ("TOLLGATE_API_TOKEN", &tenant.session),
            ("TOLLGATE_ACCOUNT_ID", &tenant.account),
        ];
        script::run(script, &environment).await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_python_client_manages_accounts_tokens_and_gateways() -> anyhow::Result<()> {
    works_with(&["cloudflare_tenancy.py", "cloudflare_gateways.py"]).await
}

#[tokio::test]
async fn the_javascript_client_manages_accounts_tokens_and_gateways() -> anyhow::Result<()> {
    works_with(&["cloudflare_tenancy.mjs", "cloudflare_gateways.mjs"]).await
}
