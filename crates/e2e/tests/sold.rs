//! Other providers than OpenAI and Anthropic, paid from credits: asked by OpenAI's own client, charged to the
//! nano-dollar.

use anyhow::ensure;
use e2e::script;
use e2e::system::{Record, System};
use serde_json::Value;

const EVERYTHING: &[&str] = &["AI Gateway Read", "AI Gateway Write", "Account API Tokens Write"];
const GRANTED: i64 = 10_000_000_000;

/// What `sold.py` asks costs, in nano-dollars. By the price list, in pico-dollars a token:
const COSTS: [(&str, i64); 4] = [
    // 600 at 150,000, 400 cached ones at 75,000, and 200 at 600,000;
    ("groq", 90_000 + 30_000 + 120_000),
    // 500 at 150,000 and 100 at 600,000;
    ("groq", 75_000 + 60_000),
    // 100 at 300,000, 900 cached ones at 6,000, and 10 at 1,200,000;
    ("deepseek", 30_000 + 5_400 + 12_000),
    // 100 at 150,000 and 10 at 600,000.
    ("groq", 15_000 + 6_000),
];

#[tokio::test]
async fn groq_and_deepseek_are_sold_to_those_who_have_no_account_there() -> anyhow::Result<()> {
    let system = System::start().await?;
    for provider in ["groq", "deepseek"] {
        system.store_operator_key_of(provider, "sk-operator-0123456789abcdef").await?;
    }
    let tenant = system.tenant("sold").await?;
    system.grant(&tenant, GRANTED).await?;
    let (_, token) = tenant.api_token(EVERYTHING).await?;
    let (_, gateway_token) = tenant.gateway_token("demo").await?;
    let by_path = tenant.provider_url(system.url(), "demo", "groq");
    let environment = [
        ("TOLLGATE_CONTROL_URL", system.api().trim_end_matches("/client/v4")),
        ("TOLLGATE_API_TOKEN", token.as_str()),
        ("TOLLGATE_GATEWAY_ADDRESS", system.url().trim_start_matches("http://")),
        ("GATEWAY_BASE_URL", by_path.as_str()),
        ("GATEWAY_TOKEN", gateway_token.as_str()),
    ];
    script::run("sold.py", &environment).await?;

    let charged = |records: &[Record]| -> Vec<(String, i64)> {
        let paid = records.iter().filter(|record| record.on_credits() && record.charge > 0);
        paid.map(|record| (record.provider.clone(), record.charge)).collect()
    };
    let records = system
        .records_when("a record of each answer", |records| charged(records).len() == COSTS.len())
        .await?;
    assert_eq!(charged(&records), COSTS.map(|(provider, cost)| (provider.to_owned(), cost)));
    let answered = records.iter().filter(|record| record.charge > 0);
    assert!(answered.clone().all(|record| record.provenance == "reported" && record.paid == record.charge));

    let cost: i64 = COSTS.iter().map(|(_, cost)| cost).sum();
    system
        .purse_when(&tenant, "everything posted", |purse| purse.held == purse.leased && purse.unposted == 0)
        .await?;
    assert_eq!(system.balance(&tenant).await?, GRANTED - cost);
    let check = system.tollgate(&["ledger", "check", "--json"]).await?;
    let report: Value = serde_json::from_slice(&check.stdout)?;
    ensure!(check.status.success() && report["findings"] == Value::Array(Vec::new()), "{report}");
    Ok(())
}
