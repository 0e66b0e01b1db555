//! What is said of lists: where they begin and how long a part is.

use clap::Args;

use super::api::Id;

/// A part of a list, the newest first.
#[derive(Debug, Args)]
pub(crate) struct Part {
    /// Only what is older than this id: the last one of the part before
    #[arg(long, value_name = "ID")]
    before_id: Option<Id>,
    /// How many to list at most
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u8).range(1..=100))]
    limit: Option<u8>,
}

impl Part {
    /// The path of a list with what is said here, and further parameters.
    pub(crate) fn path(&self, list: &str, parameters: &[(&str, &str)]) -> String {
        let Self { before_id, limit } = self;
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(parameters);
        query.extend_pairs(before_id.iter().map(|id| ("before_id", id.to_string())));
        query.extend_pairs(limit.iter().map(|limit| ("limit", limit.to_string())));
        match query.finish() {
            query if query.is_empty() => list.to_owned(),
            query => format!("{list}?{query}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_asked_for_in_the_query() {
        let all = Part { before_id: None, limit: None };
        assert_eq!(all.path("/vaults", &[]), "/vaults");
        let part = Part { before_id: "vault_1".parse().ok(), limit: Some(5) };
        assert_eq!(part.path("/vaults", &[("name", "a&b")]), "/vaults?name=a%26b&before_id=vault_1&limit=5");
    }
}
