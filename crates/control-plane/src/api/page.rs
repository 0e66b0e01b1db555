//! Which page of a list is asked for.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use utoipa::IntoParams;

use super::error::ApiError;

/// `page` (from 1) and `per_page` (1 to `MAX`, 20 unless said).
#[derive(Debug, Clone, Copy)]
pub struct Page<const MAX: u32 = 100> {
    /// Which page, from 1.
    pub page: u32,
    /// How many entries a page has at most.
    pub per_page: u32,
}

/// How the two parameters stand in the OpenAPI document: `params(PageParams)`.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what `Page` reads")]
pub struct PageParams {
    /// Which page, from 1.
    #[param(minimum = 1, default = 1)]
    page: Option<u32>,
    /// How many entries a page has at most: 1 to 100, 50 for logs.
    #[param(minimum = 1, default = 20)]
    per_page: Option<u32>,
}

impl<const MAX: u32> Page<MAX> {
    /// For `limit`.
    pub fn limit(&self) -> i64 {
        i64::from(self.per_page)
    }

    /// For `offset`.
    pub fn offset(&self) -> i64 {
        (i64::from(self.page) - 1) * i64::from(self.per_page)
    }

    /// Reads a query string, ignoring every other parameter.
    pub fn of_query(query: &str) -> Result<Self, ApiError> {
        let mut page = Self { page: 1, per_page: MAX.min(20) };
        let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query).unwrap_or_default();
        for (name, value) in pairs {
            match name.as_str() {
                "page" => page.page = whole_number(&name, &value, u32::MAX)?,
                "per_page" => page.per_page = whole_number(&name, &value, MAX)?,
                _ => {}
            }
        }
        Ok(page)
    }
}

/// Some clients type their pages as floats and write `2.0`.
fn whole_number(name: &str, value: &str, most: u32) -> Result<u32, ApiError> {
    value
        .strip_suffix(".0")
        .unwrap_or(value)
        .parse()
        .ok()
        .filter(|number| (1..=most).contains(number))
        .ok_or_else(|| ApiError::query(name, format!("expected a whole number from 1 to {most}")))
}

impl<S: Send + Sync, const MAX: u32> FromRequestParts<S> for Page<MAX> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Self::of_query(parts.uri.query().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_bounded() {
        let page = Page::<50>::of_query("per_page=50&page=3.0&search=x").unwrap();
        assert_eq!((page.page, page.per_page, page.offset()), (3, 50, 100));
        for query in ["page=0", "per_page=51", "per_page=0", "page=-1", "page=x", "page=1.5"] {
            assert!(Page::<50>::of_query(query).is_err(), "{query}");
        }
    }
}
