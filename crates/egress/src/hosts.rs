//! Hosts that the operator names, and tenants may name then although nobody else could be sure of them.

use clap::Args;
use http::Uri;
use http::uri::Authority;

use crate::check;

/// Hosts that the operator trusts wherever they lead. Whoever names one is not asked whether it is public.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct TrustedHosts {
    /// hosts that tenants' providers may be at without TLS and without being public, with a port or for
    /// all of its ports, apart by commas: `localhost:11434`
    #[arg(
        id = "plain_hosts",
        long = "plain-hosts",
        env = "TOLLGATE_PLAIN_HOSTS",
        value_delimiter = ',',
        value_name = "HOSTS",
        value_parser = plain_host
    )]
    pub plain: Vec<String>,
    /// names under `.internal` that tenants' providers may be at, and the addresses that stand for them,
    /// apart by commas: `ollama.internal=http://10.0.0.5:11434`
    #[arg(
        id = "internal_hosts",
        long = "internal-hosts",
        env = "TOLLGATE_INTERNAL_HOSTS",
        value_delimiter = ',',
        value_name = "NAME=URL",
        value_parser = internal_host
    )]
    pub internal: Vec<InternalHost>,
}

/// A name, and the address that stands for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InternalHost {
    /// The name, in lower case: `ollama.internal`.
    pub name: String,
    /// The address, perhaps with a path that everything goes below.
    pub url: String,
}

fn plain_host(text: &str) -> Result<String, String> {
    let text = text.trim();
    let is_host = text.parse::<Authority>().is_ok_and(|authority| {
        let is_port = authority.as_str().strip_prefix(authority.host()).is_some_and(|rest| {
            rest.is_empty() || rest.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok())
        });
        !authority.host().is_empty() && is_port
    });
    if is_host {
        return Ok(text.to_ascii_lowercase());
    }
    Err(format!("`{text}` is no host, such as `localhost:11434`"))
}

fn internal_host(text: &str) -> Result<InternalHost, String> {
    let Some((name, url)) = text.split_once('=') else {
        return Err(format!("`{text}` is not of the form `ollama.internal=http://10.0.0.5:11434`"));
    };
    let (name, url) = (plain_host(name)?, url.trim());
    if !name.ends_with(".internal") {
        return Err(format!("`{name}` does not end in `.internal`"));
    }
    let is_base = url.parse::<Uri>().is_ok_and(|uri| check(&uri).is_ok() && uri.query().is_none());
    if !is_base || url.contains('#') {
        return Err(format!("`{url}` is no http or https URL without credentials and query"));
    }
    Ok(InternalHost { name, url: url.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_named_with_or_without_a_port() {
        for text in ["localhost", "localhost:11434", "10.0.0.5:8000", "[::1]:1234", "Host.example"] {
            assert_eq!(plain_host(text).unwrap(), text.to_ascii_lowercase());
        }
        for text in ["", "http://localhost", "localhost/v1", "user@localhost", "a:b", "a:65536", "a b"] {
            assert!(plain_host(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_internal_name_stands_for_an_address() {
        let host = internal_host("Ollama.internal=http://10.0.0.5:11434").unwrap();
        assert_eq!((&*host.name, &*host.url), ("ollama.internal", "http://10.0.0.5:11434"));
        assert!(internal_host("vllm.internal=https://gpu.example/base").is_ok());
        for text in [
            "ollama.internal",
            "ollama.example=http://10.0.0.5",
            "ollama.internal=10.0.0.5:11434",
            "ollama.internal=ftp://10.0.0.5",
            "ollama.internal=http://u:p@10.0.0.5",
            "ollama.internal=http://10.0.0.5/?a=b",
            "=http://10.0.0.5",
        ] {
            assert!(internal_host(text).is_err(), "{text}");
        }
    }
}
