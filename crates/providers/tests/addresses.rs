//! Where requests go: a folder per provider, a file per story.
//!
//! `asked` is what a caller asks: below a gateway's URL (`path`, which begins with the provider) or at
//! a host (`host`, where the body's model names it), with the key that is to be used. `upstream` is what
//! the provider gets.

#![expect(clippy::unwrap_used, reason = "a story that cannot be read is a failed test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use http::HeaderValue;
use model::Secret;
use providers::catalog::custom::CustomBase;
use providers::catalog::{self, Auth, Dialect};
use providers::models::{
    Asked, Candidate, ConfiguredModel, ConfiguredProvider, Models, Restrictions, Selection,
};
use providers::path::{self, BaseUrls};
use serde::Deserialize;
use serde_json::{Map, Value};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Story {
    asked: Request,
    upstream: Upstream,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    path: Option<String>,
    host: Option<String>,
    key: Option<String>,
    body: Option<Map<String, Value>>,
    provider: Option<Configured>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Configured {
    id: String,
    base_url: String,
    api_version: Option<String>,
    models: Vec<String>,
}

#[derive(Deserialize, Debug, PartialEq, Default)]
#[serde(default, deny_unknown_fields)]
struct Upstream {
    url: String,
    headers: BTreeMap<String, String>,
    body: Option<Map<String, Value>>,
    removed: Vec<String>,
}

#[test]
fn requests_go_where_their_stories_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden_addresses");
    let mut told = Vec::new();
    for folder in fs::read_dir(root).unwrap().map(|folder| folder.unwrap().path()) {
        for file in fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()) {
            let Story { asked, upstream } = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
            let sent = match (&asked.path, &asked.host) {
                (Some(path), None) => by_path(path, &asked),
                (None, Some(host)) => by_host(host, &asked),
                _ => panic!("{} names no address", file.display()),
            };
            assert_eq!(sent, upstream, "{}", file.display());
            told.extend(serving(&asked));
        }
    }
    for provider in catalog::all() {
        assert!(told.contains(&provider.slug), "no story of {}", provider.slug);
    }
}

fn serving(asked: &Request) -> Option<&'static str> {
    let (slug, _) = asked.path.as_ref()?.split_once('/').unwrap();
    Some(catalog::find(slug).unwrap().slug)
}

fn by_path(path: &str, asked: &Request) -> Upstream {
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let (slug, rest) = path.split_once('/').unwrap();
    let (provider, urls) = (catalog::find(slug).unwrap(), BaseUrls::default());
    let base = urls.of(provider);
    let url = base.uri(path::upstream(provider, base, rest, query).unwrap()).to_string();
    let headers = headers(&[path::native(provider, rest).auth], asked);
    Upstream { url, headers, body: asked.body.clone(), removed: Vec::new() }
}

fn by_host(path: &str, request: &Request) -> Upstream {
    let operation = path.strip_prefix("/v1/").unwrap();
    let dialect = if operation.starts_with("messages") { Dialect::Anthropic } else { Dialect::OpenAi };
    let asked = Asked { dialect, operation };
    let own = request.provider.as_ref().map(|provider| ConfiguredProvider {
        id: provider.id.clone(),
        base: Some(CustomBase::parse(&provider.base_url).unwrap()),
        models: provider
            .models
            .iter()
            .map(|id| ConfiguredModel { id: id.clone(), ..ConfiguredModel::default() })
            .collect(),
        ..ConfiguredProvider::default()
    });
    let own: Vec<_> = own.into_iter().collect();
    let selection = Selection::new(Models::current(), own, Restrictions::default()).unwrap();
    let mut body = request.body.clone().unwrap();
    let name = body["model"].as_str().unwrap().to_owned();
    let candidate = selection.resolve(&name, asked).unwrap().remove(0);
    let (url, auths) = address(path, asked, &candidate, request);
    let removed: Vec<_> = body.keys().filter(|name| !candidate.passes_param(asked, name)).cloned().collect();
    body.retain(|name, _| !removed.contains(name));
    body["model"] = candidate.upstream.as_ref().into();
    Upstream { url, headers: headers(&auths, request), body: Some(body), removed }
}

fn address(
    path: &str,
    asked: Asked<'_>,
    candidate: &Candidate<'_>,
    request: &Request,
) -> (String, Vec<Auth>) {
    if let Some((_, configured)) = candidate.host.configured {
        let base = configured.base.as_ref().unwrap();
        let version = request.provider.as_ref().and_then(|provider| provider.api_version.as_deref());
        let version = version.map(|version| HeaderValue::from_str(version).unwrap());
        let to = base.upstream(path, None, version.as_ref()).unwrap();
        let auths = std::iter::once(asked.dialect.usual_auth()).chain(base.second_auth(asked.dialect));
        return (base.base.uri(to).to_string(), auths.collect());
    }
    let provider = candidate.host.built_in.unwrap();
    let format = provider.format(asked.dialect, asked.operation).unwrap();
    let base = BaseUrls::default().of_format(provider, format);
    (base.uri(path::below(&base, path, None).unwrap()).to_string(), vec![format.auth])
}

fn headers(auths: &[Auth], asked: &Request) -> BTreeMap<String, String> {
    let Some(key) = &asked.key else { return BTreeMap::new() };
    let header = |auth: &Auth| {
        let value = auth.value(&Secret::new(key.as_str())).unwrap();
        (auth.header().to_string(), value.to_str().unwrap().to_owned())
    };
    auths.iter().map(header).collect()
}
