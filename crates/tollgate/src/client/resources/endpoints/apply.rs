//! Endpoints from an agent's configuration file. All policies are checked before anything is changed.

use std::path::Path;

use anyhow::{Context as _, bail};
use model::host::EndpointUrl;
use serde::Serialize;
use serde_json::Value;

use super::{Body, COLUMNS, PATH, Terms};
use crate::client::agent_config::{self, AgentEndpoint};
use crate::client::api::{Api, CallFailed};
use crate::client::input;
use crate::client::notes::Notes;
use crate::client::output::{Output, print, table, warn};
use crate::client::policies::check;

/// More parts of a list than an account can have endpoints for.
const MOST_PARTS: usize = 1000;

/// What became of the endpoints, in the order of the file.
#[derive(Default, Serialize)]
struct Applied {
    endpoints: Vec<Value>,
    #[serde(skip)]
    told: Vec<Vec<String>>,
}

pub(super) async fn run(api: &Api, output: Output, file: &Path) -> anyhow::Result<()> {
    let name = file.display();
    let text = input::text(file)?;
    let read = agent_config::endpoints(&text).map_err(|wrong| anyhow::anyhow!("{name}:{wrong}"))?;
    let Some(read) = read else {
        bail!("{name} has no `endpoints`; for a policy alone: endpoints create --traffic-policy-file {name}");
    };
    let wanted: Vec<_> = read
        .into_iter()
        .map(|endpoint| {
            let line = endpoint.line;
            wanted(endpoint, &name.to_string()).with_context(|| format!("{name}:{line}"))
        })
        .collect::<Result<_, _>>()?;
    let mut applied = Applied::default();
    let mut ended = Ok(());
    for (url, body) in wanted {
        match apply(api, &url, body).await {
            Ok((word, endpoint)) => {
                let id = crate::client::output::cell(endpoint.get("id"));
                applied.told.push(vec![id, url, word.to_owned()]);
                applied.endpoints.push(endpoint);
            }
            Err(error) => {
                ended = Err(error).context(url);
                break;
            }
        }
    }
    applied.endpoints.iter().for_each(warn);
    match output {
        Output::Table => print(&table(&["ID", "URL", ""], &applied.told))?,
        Output::Json => output.list(&serde_json::to_value(&applied)?, "endpoints", COLUMNS)?,
    }
    ended
}

/// What an endpoint is to be, if that makes sense.
fn wanted(endpoint: AgentEndpoint, file: &str) -> anyhow::Result<(String, Body)> {
    let AgentEndpoint { name: _, line: _, url, description, metadata, bindings, pooling_enabled, policy } =
        endpoint;
    let url: EndpointUrl = url
        .context("this endpoint has no `url`; addresses are not given out here, so it must be said")?
        .parse()?;
    let policy = policy.context("this endpoint has no `traffic_policy`; it would answer nobody")?;
    let problems = check::problems(&policy.in_place);
    if !problems.is_empty() {
        bail!("its policy cannot be used:\n{}", check::lines(file, &problems).join("\n"));
    }
    let terms = Terms { bindings, pooling_enabled, notes: Notes { description, metadata } };
    let url = url.to_string();
    Ok((url.clone(), Body { url: Some(url), r#type: None, traffic_policy: Some(policy.text), terms }))
}

/// Makes an endpoint or changes it, and says which.
async fn apply(api: &Api, url: &str, body: Body) -> Result<(&'static str, Value), CallFailed> {
    let Some(there) = at(api, url).await? else {
        return Ok(("created", api.create(PATH, &body).await?));
    };
    let is_as_wanted = serde_json::to_value(&body).is_ok_and(|wanted| {
        wanted.as_object().is_some_and(|wanted| wanted.iter().all(|(field, value)| there[field] == *value))
    });
    let id = there["id"].as_str().unwrap_or_default();
    match is_as_wanted {
        true => Ok(("unchanged", there)),
        false => Ok(("changed", api.change(&format!("{PATH}/{id}"), &body).await?)),
    }
}

/// The endpoint at an address.
async fn at(api: &Api, url: &str) -> Result<Option<Value>, CallFailed> {
    let mut query = form_urlencoded::Serializer::new(String::new()).append_pair("url", url).finish();
    for _ in 0..MOST_PARTS {
        let mut part = api.get(&format!("{PATH}?{query}")).await?;
        if let Some(found) = part["endpoints"].get_mut(0) {
            return Ok(Some(found.take()));
        }
        // The API may know itself by another address than the one that it is called at.
        match part["next_page_uri"].as_str().and_then(|next| next.split_once('?')) {
            Some((_, next)) => query = next.to_owned(),
            None => break,
        }
    }
    Ok(None)
}
