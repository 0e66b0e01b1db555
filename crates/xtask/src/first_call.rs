//! The call that the README begins with: made once, to know that everything answers, and printed.

use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::Value;

use crate::demo::{CREDITS_GATEWAY, Demo, GATEWAY};
use crate::http::Http;

const HELLO: &str = r#"{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello, world!"}]}"#;

/// What the official SDKs take as their base URL.
fn base_url(gateway_url: &str, demo: &Demo, gateway: &str) -> String {
    format!("{gateway_url}/v1/{}/{gateway}/openai", demo.account_id)
}

/// Makes it with the stored key, and where that costs nothing on credits too. At a `real` provider
/// it is a call that is free.
pub(crate) fn make(http: &Http, gateway_url: &str, demo: &Demo, real: bool) -> Result<()> {
    make_at(http, &base_url(gateway_url, demo, GATEWAY), demo, real)?;
    if real {
        return Ok(());
    }
    make_at(http, &base_url(gateway_url, demo, CREDITS_GATEWAY), demo, real)
}

/// Makes it a few times over: a new token takes a moment to reach the proxy.
fn make_at(http: &Http, base: &str, demo: &Demo, real: bool) -> Result<()> {
    let token = [("cf-aig-authorization", format!("Bearer {}", demo.api_token))];
    let hello: Value = serde_json::from_str(HELLO)?;
    let mut pause = Duration::from_millis(50);
    loop {
        let answer = match real {
            true => http.call("GET", &format!("{base}/models"), &token, None)?,
            false => http.call("POST", &format!("{base}/chat/completions"), &token, Some(&hello))?,
        };
        if answer.status == 200 {
            return Ok(());
        }
        if pause > Duration::from_secs(2) {
            bail!("the gateway answered the first call with {}: {}", answer.status, answer.body);
        }
        thread::sleep(pause);
        pause *= 2;
    }
}

/// The same for a terminal.
pub(crate) fn as_curl(gateway_url: &str, demo: &Demo) -> String {
    let (base, token) = (base_url(gateway_url, demo, GATEWAY), &demo.api_token);
    format!(
        "  curl {base}/chat/completions \\
    --header 'cf-aig-authorization: Bearer {token}' \\
    --header 'content-type: application/json' \\
    --data '{HELLO}'"
    )
}
