//! How many policies stand behind a request: gateways whose policies call each other would do it for ever.

use http::{HeaderMap, HeaderName, HeaderValue};

/// What tells the next gateway.
pub static HOPS: HeaderName = HeaderName::from_static("tollgate-policy-calls");

/// So many policies may stand in a row.
const MOST: u8 = 3;

/// How many policies have called each other before a request arrived.
///
/// Anybody can write the header. Whoever claims more than is true has his own request refused, and must not gain
/// by it that a policy goes on without what it would have asked: so a request at the limit
/// ([`at_limit`](Self::at_limit)) is refused before its policy is looked at. Whoever claims less, or has a server
/// of his own take the header away, can keep a circle going; how much of that can be under way is bounded by
/// each gateway's room for calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hops(u8);

impl Hops {
    /// As a request says that arrives, before any rule could change its headers.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut said = headers.get_all(&HOPS).iter();
        match (said.next(), said.next()) {
            (None, _) => Self(0),
            (Some(value), None) => {
                let hops = value.to_str().ok().and_then(|text| text.parse().ok());
                Self(hops.unwrap_or(MOST).min(MOST))
            }
            (Some(_), Some(_)) => Self(MOST),
        }
    }

    /// Whether so many policies stand behind the request that it must be refused.
    pub fn at_limit(self) -> bool {
        self.0 >= MOST
    }

    /// Has the next one told, if a server that the request goes to is a gateway, too. Whatever rules have made of
    /// it does not count.
    pub fn tell(self, headers: &mut HeaderMap) {
        if let Some(told) = self.told() {
            headers.insert(&HOPS, told);
        }
    }

    /// What the next gateway is told; nothing if there must be none.
    pub(super) fn told(self) -> Option<HeaderValue> {
        (!self.at_limit()).then(|| HeaderValue::from(u16::from(self.0) + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(values: &[&'static str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(&HOPS, HeaderValue::from_static(value));
        }
        Hops::of(&headers).told().map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn three_policies_may_stand_in_a_row() {
        assert_eq!(told(&[]).as_deref(), Some("1"));
        assert_eq!(told(&["1"]).as_deref(), Some("2"));
        assert_eq!(told(&["2"]).as_deref(), Some("3"));
        assert_eq!(told(&["3"]), None);
    }

    #[test]
    fn what_makes_no_sense_counts_as_too_many() {
        for values in [&["255"][..], &["256"], &["-1"], &[""], &["1, 1"], &["0", "0"], &["one"]] {
            assert_eq!(told(values), None, "{values:?}");
        }
    }
}
