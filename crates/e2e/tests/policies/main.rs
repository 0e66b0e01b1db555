//! Traffic policies at a proxy's socket: the policy crate's own folder of cases, against a provider and servers that
//! are played, and the stories that only a socket can tell.

mod case;
mod outside;
mod play;
mod stage;
mod tokens;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use anyhow::{Context as _, ensure};
use case::{Folder, folders};
use outside::Outside;
use stage::Stage;

/// So many cases there are at least that a socket can show: a runner that finds none of them shows nothing.
const LEAST: usize = 110;

#[tokio::test]
async fn every_policy_does_at_a_socket_what_its_folder_says() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let authority = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let trusted = directory.path().join("authority.pem");
    std::fs::write(&trusted, authority.cert.pem())?;
    let keys = Outside::listen_with(&authority).await?;
    let mut stage = Stage::set(&trusted).await?;
    let (mut mistakes, mut seats) = (Vec::new(), Vec::new());
    let folders = folders()?;
    for folder in &folders {
        if !folder.problems.is_empty() {
            if let Err(mistake) = is_refused(&mut stage, folder).await {
                mistakes.push(format!("{}: {mistake:#}", folder.name));
            }
            continue;
        }
        let mut hosts = BTreeMap::new();
        for (number, case) in folder.cases.iter().enumerate() {
            if case.beyond_sockets(folder).is_some() {
                continue;
            }
            let seat = (&case.secrets, case.is_stateful().then_some(number));
            let host = match hosts.entry(seat) {
                Entry::Occupied(host) => host.into_mut(),
                Entry::Vacant(vacant) => {
                    let tenant = stage.tenant(&case.secrets).await?;
                    let host = stage.gateway(&tenant, &folder.policy).await;
                    vacant.insert(host.with_context(|| folder.name.clone())?)
                }
            };
            seats.push((folder, case, host.clone()));
        }
    }
    stage.until_known().await?;
    ensure!(seats.len() >= LEAST, "only {} cases are played", seats.len());
    for (folder, case, host) in seats {
        if let Err(mistake) = case.is_played(&stage, folder, &host).await {
            mistakes.push(format!("{}, {}: {mistake:#}", folder.name, case.name));
        }
    }
    if let Err(mistake) = tokens::are_checked(&mut stage, &keys).await {
        mistakes.push(format!("tokens: {mistake:#}"));
    }
    ensure!(mistakes.is_empty(), "{}", mistakes.join("\n\n"));
    Ok(())
}

/// What is wrong with a policy is told where it is kept, a problem for each line.
async fn is_refused(stage: &mut Stage, folder: &Folder) -> anyhow::Result<()> {
    let tenant = stage.tenant(&BTreeMap::new()).await?;
    let Some(refusal) = stage.keep(&tenant, "demo", &folder.policy).await? else {
        anyhow::bail!("the API keeps it");
    };
    let refusal: serde_json::Value = serde_json::from_str(&refusal)?;
    let told: Vec<&str> = refusal["errors"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|error| error["message"].as_str())
        .collect();
    // Which policies for addresses there are is the account's matter, and not that of the text alone.
    let problems = folder.problems.lines().filter(|problem| !problem.contains(".ip_policies"));
    let missing: Vec<&str> =
        problems.filter(|problem| !told.iter().any(|told| told.contains(problem.trim()))).collect();
    ensure!(missing.is_empty(), "not told: {missing:#?}; told: {told:#?}");
    Ok(())
}
