//! Google's own client through the gateway, on the Gemini API by path, with every way of bringing a key.

use e2e::script;
use e2e::system::{Record, System};
use serde_json::json;

const OWN: &str = "AIza-caller-0123456789";
const STORED: &str = "AIza-stored-0123456789";

#[tokio::test]
async fn the_python_client_works_with_every_way_of_bringing_a_key() -> anyhow::Result<()> {
    let system = System::start().await?;
    let tenant = system.tenant("google").await?;
    tenant.create_gateway("open", &json!({"authentication": false})).await?;
    tenant.create_gateway("stored", &json!({"authentication": true})).await?;
    tenant.store_key_of("stored", "google-ai-studio", STORED, "default").await?;
    let (_, token) = tenant.gateway_token("stored").await?;
    let (_, demo) = tenant.gateway_token("demo").await?;
    for (gateway, key, authorization, reaches) in
        [("open", OWN, "", OWN), ("demo", OWN, demo.as_str(), OWN), ("stored", &token, "", STORED)]
    {
        let base_url = tenant.provider_url(system.url(), gateway, "google-ai-studio");
        let models = || {
            let models = e2e::http::call("GET", format!("{base_url}/v1beta/models?key={key}"));
            match authorization {
                "" => models,
                token => models.header("cf-aig-authorization", token),
            }
        };
        tenant.until(200, models).await?;
        system.forget_arrivals().await?;
        let environment = [
            ("GATEWAY_BASE_URL", &*base_url),
            ("GATEWAY_API_KEY", key),
            ("GATEWAY_AUTHORIZATION", authorization),
        ];
        script::run("google_client.py", &environment).await?;
        for request in system.reached_the_provider().await? {
            assert_eq!((&request["x_goog_api_key"], &request["leaks"]), (&json!(reaches[..18]), &json!([])));
            assert!(!request["path"].as_str().unwrap_or_default().contains("key="), "{request}");
        }
    }
    // One in one piece, two streams, one with thoughts, and two for a call, each time.
    let is_told = |record: &&Record| {
        let is_priced = record.cost.is_some_and(|cost| cost > 0);
        record.provider == "google-ai-studio" && record.provenance == "reported" && is_priced
    };
    let all = |records: &[Record]| records.iter().filter(is_told).count() >= 3 * 6;
    system.records_when("a record of each answer", all).await?;
    Ok(())
}
