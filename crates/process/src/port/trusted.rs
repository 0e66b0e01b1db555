//! Proxies in front of us whose word on where a request comes from is taken.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName};
use clap::{Args, ValueEnum};
use ipnet::IpNet;

/// Whose word is taken, and which header has it. Nobody's by default: anyone can write such a header.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct TrustedProxies {
    /// load balancers and other proxies in front, as addresses or CIDR ranges apart by commas, whose word on
    /// where a request comes from is taken; nobody's unless said
    #[arg(long = "trusted-proxies", env = "TOLLGATE_TRUSTED_PROXIES", value_delimiter = ',', value_parser = range)]
    pub ranges: Vec<IpNet>,
    /// the header in which they say it
    #[arg(
        id = "trusted_header",
        long = "trusted-header",
        env = "TOLLGATE_TRUSTED_HEADER",
        default_value = "x-forwarded-for"
    )]
    pub header: ForwardingHeader,
}

/// A header in which proxies say for whom they ask. One is read and never the other: a proxy that writes
/// one lets the other through as its caller wrote it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ForwardingHeader {
    /// `X-Forwarded-For`
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239)
    Forwarded,
}

impl TrustedProxies {
    /// Whether this one's word is taken.
    pub fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.ranges.iter().any(|range| range.contains(&address))
    }

    /// For whom a trusted `peer` asks. Each proxy adds at the end whom it was asked by, so this is read from
    /// the end for as long as those who wrote it are trusted; what a stranger wrote is never looked at.
    /// Who cannot be made out is the last that could.
    pub(super) fn caller(&self, peer: SocketAddr, headers: &HeaderMap) -> SocketAddr {
        let name = match self.header {
            ForwardingHeader::XForwardedFor => HeaderName::from_static("x-forwarded-for"),
            ForwardingHeader::Forwarded => axum::http::header::FORWARDED,
        };
        let mut caller = peer;
        for line in headers.get_all(name).iter().rev() {
            let Ok(line) = line.to_str() else { return caller };
            for element in parts_from_the_end(line, b',').filter(|element| !element.is_empty()) {
                let hop = match self.header {
                    ForwardingHeader::XForwardedFor => node(element),
                    ForwardingHeader::Forwarded => forwarded_for(element),
                };
                match hop {
                    Some(hop) if self.trusts(hop.ip()) => caller = hop,
                    Some(hop) => return hop,
                    None => return caller,
                }
            }
        }
        caller
    }
}

/// The one `for` of an element such as `for="[2001:db8::1]:4711";proto=https`.
fn forwarded_for(element: &str) -> Option<SocketAddr> {
    // Whoever quotes a quote may be hiding where a value ends.
    if element.contains('\\') {
        return None;
    }
    let mut nodes = parts_from_the_end(element, b';').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| value.trim())
    });
    let value = nodes.next()?;
    if nodes.next().is_some() {
        return None;
    }
    node(value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value))
}

/// An address, perhaps with a port. Zero stands for a port that is not said.
fn node(text: &str) -> Option<SocketAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let with_port = || text.parse::<SocketAddr>().ok();
    let address = bare.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, 0)).or_else(with_port)?;
    Some(SocketAddr::new(address.ip().to_canonical(), address.port()))
}

/// The parts of a text between separators that stand in no quotes, the last one first: what was written
/// at the end is told apart without a look at what stands before it.
fn parts_from_the_end(text: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let mut is_quoted = false;
        let at = text.bytes().rposition(|byte| {
            is_quoted ^= byte == b'"';
            byte == separator && !is_quoted
        });
        rest = at.map(|at| &text[..at]);
        Some(at.map_or(text, |at| &text[at + 1..]).trim())
    })
}

/// A range, or one address. All addresses together are refused, and so is what no address would be in.
fn range(text: &str) -> Result<IpNet, &'static str> {
    let text = text.trim();
    let range = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    match range.map_err(|_| "expected addresses or ranges such as `10.0.0.0/8`, apart by commas")? {
        range if range.prefix_len() == 0 => Err("whoever trusts everybody is told by anybody who they are"),
        IpNet::V6(range) if range.addr().to_ipv4_mapped().is_some() => {
            Err("expected ranges of IPv4 as such, for example `10.0.0.0/8`")
        }
        range => Ok(range),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "x-forwarded-for";

    fn trusting(header: ForwardingHeader) -> TrustedProxies {
        let ranges = ["10.0.0.0/8", "2001:db8:1::/48"].map(|text| range(text).unwrap());
        TrustedProxies { ranges: ranges.to_vec(), header }
    }

    fn seen(header: ForwardingHeader, lines: &[(&'static str, &str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        trusting(header).caller("10.0.0.1:50000".parse().unwrap(), &headers).to_string()
    }

    fn by_list(lines: &[&str]) -> String {
        let lines: Vec<_> = lines.iter().map(|line| (LINE, *line)).collect();
        seen(ForwardingHeader::XForwardedFor, &lines)
    }

    fn by_forwarded(line: &str) -> String {
        seen(ForwardingHeader::Forwarded, &[("forwarded", line)])
    }

    #[test]
    fn the_last_who_is_not_trusted_is_the_caller_whatever_stands_before() {
        let peer = "10.0.0.1:50000";
        for (lines, expected) in [
            (&[][..], peer),
            (&["198.51.100.7"], "198.51.100.7:0"),
            (&["198.51.100.7:4711"], "198.51.100.7:4711"),
            (&["192.0.2.1, 198.51.100.7"], "198.51.100.7:0"),
            (&["192.0.2.1", "198.51.100.7"], "198.51.100.7:0"),
            (&["192.0.2.1", "198.51.100.7", "10.2.3.4 , 10.9.9.9"], "198.51.100.7:0"),
            (&["10.0.0.1, 198.51.100.7"], "198.51.100.7:0"),
            (&["\", 198.51.100.7"], "198.51.100.7:0"),
            (&["10.5.5.5, 10.6.6.6"], "10.5.5.5:0"),
            (&["192.0.2.1, nonsense, 10.6.6.6"], "10.6.6.6:0"),
            (&["192.0.2.1, unknown"], peer),
            (&["192.0.2.1", "é"], peer),
            (&["192.0.2.1,,"], "192.0.2.1:0"),
            (&["::ffff:198.51.100.7, ::ffff:10.0.0.2"], "198.51.100.7:0"),
            (&["2001:db8:2::7, 2001:db8:1::1"], "[2001:db8:2::7]:0"),
            (&["[2001:db8:2::7]:443, [2001:db8:1::1]"], "[2001:db8:2::7]:443"),
        ] {
            let found = by_list(lines);
            assert_eq!(found, expected, "{lines:?}");
        }
    }

    #[test]
    fn the_standard_header_is_read_in_all_its_forms() {
        let peer = "10.0.0.1:50000";
        for (line, expected) in [
            ("for=198.51.100.7", "198.51.100.7:0"),
            ("For=\"198.51.100.7:4711\";proto=https;by=10.0.0.1", "198.51.100.7:4711"),
            ("for=192.0.2.1, for=\"[2001:db8:2::7]:47\", for=10.0.0.9", "[2001:db8:2::7]:47"),
            ("for=192.0.2.1, for=unknown", peer),
            ("for=192.0.2.1, for=_hidden, for=10.0.0.9", "10.0.0.9:0"),
            ("for=192.0.2.1, proto=https", peer),
            ("for=192.0.2.1;for=198.51.100.7", peer),
            // What the caller wrote may not swallow or invent what the proxy wrote.
            ("for=\", for=198.51.100.7", "198.51.100.7:0"),
            ("host=\"x;for=192.0.2.1;y\";for=198.51.100.7", "198.51.100.7:0"),
            ("for=198.51.100.7;host=\"x, for=192.0.2.1\"", "198.51.100.7:0"),
            ("for=198.51.100.7;host=\"x\\\", for=192.0.2.1\"", peer),
        ] {
            assert_eq!(by_forwarded(line), expected, "{line}");
        }
    }

    #[test]
    fn one_header_is_read_and_never_the_other() {
        let both = [(LINE, "198.51.100.7"), ("forwarded", "for=192.0.2.1"), ("x-real-ip", "192.0.2.2")];
        assert_eq!(seen(ForwardingHeader::XForwardedFor, &both), "198.51.100.7:0");
        assert_eq!(seen(ForwardingHeader::Forwarded, &both), "192.0.2.1:0");
        assert_eq!(seen(ForwardingHeader::Forwarded, &both[..1]), "10.0.0.1:50000");
    }

    proptest::proptest! {
        #[test]
        fn whatever_a_caller_writes_the_proxys_word_holds(written in "[ -~]{0,60}", apart: bool) {
            let own = ["198.51.100.7", "for=198.51.100.7"];
            let headers = [ForwardingHeader::XForwardedFor, ForwardingHeader::Forwarded];
            for ((own, header), name) in own.into_iter().zip(headers).zip([LINE, "forwarded"]) {
                let found = match apart {
                    true => seen(header, &[(name, &written), (name, own)]),
                    false => seen(header, &[(name, &format!("{written}, {own}"))]),
                };
                proptest::prop_assert_eq!(found, "198.51.100.7:0");
            }
        }
    }

    #[test]
    fn who_may_be_trusted_is_said_in_addresses_and_ranges() {
        for right in ["10.0.0.0/8", " 10.0.0.1 ", "2001:db8::/32", "::1"] {
            range(right).unwrap();
        }
        for wrong in ["", "everybody", "0.0.0.0/0", "::/0", "10.0.0.0/33", "::ffff:10.0.0.0/104"] {
            range(wrong).unwrap_err();
        }
        let trusting = trusting(ForwardingHeader::XForwardedFor);
        assert!(trusting.trusts("::ffff:10.1.1.1".parse().unwrap()));
        assert!(!trusting.trusts("11.1.1.1".parse().unwrap()));
        assert!(!TrustedProxies::default().trusts("127.0.0.1".parse().unwrap()));
    }
}
