//! Makes join tokens: with them the operator lets proxies in.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use model::Secret;
use model::id::JoinTokenId;
use model::token::{TokenKind, mint};
use store::Store;
use store::join_tokens::{self, JoinToken};
use uuid::Uuid;
use vault::ContentsBox;

use crate::push::Authority;

/// How long a join token is good when nothing else is said.
pub const LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// Makes a join token, and the installation's authority if this is the first thing that ever asks
/// for it.
pub async fn create(
    store: &Store,
    contents: &ContentsBox,
    name: &str,
    lifetime: Duration,
) -> anyhow::Result<(Secret, JoinToken)> {
    let authority = Authority::load_or_create(store, contents).await?;
    create_under(store, authority.certificate_der(), name, lifetime).await
}

/// Makes a join token for the authority with this certificate. The secret is the token, a full
/// stop, and the certificate in base64url: by it the proxy knows the control plane before it trusts
/// it with the token.
pub(crate) async fn create_under(
    store: &Store,
    authority_der: &[u8],
    name: &str,
    lifetime: Duration,
) -> anyhow::Result<(Secret, JoinToken)> {
    let id = JoinTokenId(Uuid::now_v7());
    let mut random = [0; 32];
    getrandom::fill(&mut random)?;
    let (token, digest) = mint(TokenKind::Join, id.0, random);
    let kept = join_tokens::create(store, id, &digest, name, lifetime).await?;
    let authority = BASE64_URL_SAFE_NO_PAD.encode(authority_der);
    Ok((Secret::new(format!("{}.{authority}", token.expose())), kept))
}
