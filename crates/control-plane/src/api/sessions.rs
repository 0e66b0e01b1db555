//! Coming and going: `/setup`, `/auth/login`, `/auth/refresh`, `/auth/logout`, `/auth/sign-up`,
//! `/auth/accept-invitation`.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use axum::Extension;
use axum::extract::{ConnectInfo, State};
use model::Secret;
use model::id::{MemberId, SessionId, UserId};
use model::token::{self, Presented, TokenDigest, TokenKind, TokenRef};
use serde::{Deserialize, Serialize};
use store::sessions::Refresh;
use store::{StoreError, installation, members, operators, sessions, users};
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::ApiState;
use super::accounts::{self, Account};
use super::body::Body;
use super::caller::Caller;
use super::envelope::{ApiResult, Envelope};
use super::error::{AUTHENTICATION_ERROR, ApiError};
use super::random;
use super::session_keys::ACCESS_LIFETIME;
use super::users::{User, checked_email, normalised};

/// How long one login lasts at most.
const SESSION_LIFETIME: Duration = Duration::days(30);

const WRONG_LOGIN: ApiError = ApiError::Unauthenticated("Wrong email or password");
const BAD_INVITATION: ApiError =
    ApiError::Unauthenticated("The invitation is unknown, used or has run out; ask for another");
const EMAIL_TAKEN: ApiError = ApiError::Conflict("There is a user of this email already; log in instead");

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(set_up))
        .routes(routes!(login))
        .routes(routes!(refresh))
        .routes(routes!(logout))
        .routes(routes!(sign_up))
        .routes(routes!(accept_invitation))
}

/// What a session is carried by.
#[derive(Serialize, ToSchema)]
pub struct Tokens {
    /// For `Authorization: Bearer`.
    pub access_token: String,
    /// Always `Bearer`.
    pub token_type: &'static str,
    /// Seconds that the access token is good.
    pub expires_in: i64,
    /// Good once, for the next pair. Who presents it a second time ends the session.
    pub refresh_token: String,
}

/// A new user's session and first account.
#[derive(Serialize, ToSchema)]
pub struct Arrival {
    #[serde(flatten)]
    tokens: Tokens,
    user: User,
    account: Account,
}

/// What the first user is made with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Setup {
    /// The one-time token that the control plane printed, or was given.
    #[schema(value_type = String)]
    token: Secret,
    email: String,
    /// 10 to 256 characters.
    #[schema(value_type = String)]
    password: Secret,
    account_name: String,
}

/// Set the installation up
///
/// Makes the first user and account. Works once.
#[utoipa::path(post, path = "/setup", tag = "Sessions", request_body = Setup, security(()),
    responses((status = 200, body = Envelope<Arrival>)))]
async fn set_up(
    State(state): State<ApiState>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    Body(Setup { token, email, password, account_name }): Body<Setup>,
) -> ApiResult<Arrival> {
    let address = address(peer);
    state.attempts.count("the setup token", address, Instant::now())?;
    let mut tx = state.store.config_tx().await?;
    let expected = installation::take_setup(&mut tx)
        .await?
        .ok_or(ApiError::Forbidden("This installation is set up already"))?;
    if !expected.matches(token.expose()) {
        return Err(ApiError::Unauthenticated("Wrong setup token"));
    }
    state.attempts.forget("the setup token", address);
    arrive(&state, tx, &email, &password, &account_name, Standing::Operator).await
}

/// What a user is made with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SignUp {
    email: String,
    /// 10 to 256 characters.
    #[schema(value_type = String)]
    password: Secret,
    account_name: String,
}

/// Sign up
///
/// Makes a user and an account, where the operator has opened signing up.
#[utoipa::path(post, path = "/auth/sign-up", tag = "Sessions", request_body = SignUp, security(()),
    responses((status = 200, body = Envelope<Arrival>)))]
async fn sign_up(
    State(state): State<ApiState>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    Body(SignUp { email, password, account_name }): Body<SignUp>,
) -> ApiResult<Arrival> {
    if !state.settings.sign_up_open {
        return Err(ApiError::Forbidden("Signing up is closed here; ask for an invitation"));
    }
    state.attempts.count(&normalised(&email), address(peer), Instant::now())?;
    let tx = state.store.config_tx().await?;
    arrive(&state, tx, &email, &password, &account_name, Standing::Tenant).await
}

/// What a new user is to the installation.
#[derive(PartialEq)]
enum Standing {
    /// Runs it.
    Operator,
    /// Lives in it.
    Tenant,
}

async fn arrive(
    state: &ApiState,
    mut tx: store::ConfigTx,
    email: &str,
    password: &Secret,
    account_name: &str,
    standing: Standing,
) -> ApiResult<Arrival> {
    let email = checked_email(email)?;
    let hash = state.passwords.hash(password).await?;
    let user = users::create(&mut tx, UserId(Uuid::now_v7()), &email, &hash).await.map_err(taken)?;
    if standing == Standing::Operator {
        operators::appoint(&mut tx, user.id).await?;
    }
    let account = accounts::create_owned(&mut tx, &state.sealer, account_name, &user).await?;
    tx.commit().await?;
    let tokens = begin(state, user.id).await?;
    Ok(Envelope::of(Arrival { tokens, user: user.into(), account }))
}

/// Who one is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Login {
    email: String,
    #[schema(value_type = String)]
    password: Secret,
}

/// Log in
#[utoipa::path(post, path = "/auth/login", tag = "Sessions", request_body = Login, security(()),
    responses((status = 200, body = Envelope<Tokens>)))]
async fn login(
    State(state): State<ApiState>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    Body(Login { email, password }): Body<Login>,
) -> ApiResult<Tokens> {
    let email = normalised(&email);
    let found = users::credentials(&state.store.pool, &email).await?;
    let user = prove(&state, &email, &password, found, address(peer)).await?;
    Ok(Envelope::of(begin(&state, user).await?))
}

/// A session's refresh token.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RefreshToken {
    #[schema(value_type = String)]
    refresh_token: Secret,
}

/// Renew a session
///
/// A refresh token is good once. Presented a second time, somebody has stolen it: the session ends.
#[utoipa::path(post, path = "/auth/refresh", tag = "Sessions", request_body = RefreshToken, security(()),
    responses((status = 200, body = Envelope<Tokens>)))]
async fn refresh(
    State(state): State<ApiState>,
    Body(RefreshToken { refresh_token }): Body<RefreshToken>,
) -> ApiResult<Tokens> {
    let presented = refresh_token.expose();
    let Presented::Token(TokenRef { kind: TokenKind::Refresh, id }) = token::read(presented) else {
        return Err(AUTHENTICATION_ERROR);
    };
    let session = SessionId(id);
    let (successor, digest) = token::mint(TokenKind::Refresh, id, random()?);
    match sessions::refresh(&state.store, session, &TokenDigest::of(presented), &digest).await? {
        Refresh::Renewed(user) => Ok(Envelope::of(tokens(&state, user, session, &successor)?)),
        Refresh::Reused => {
            tracing::warn!(session.id = %session, "A refresh token was presented twice; session {session} is over");
            Err(AUTHENTICATION_ERROR)
        }
        Refresh::Over => Err(AUTHENTICATION_ERROR),
    }
}

/// The session that ended.
#[derive(Serialize, ToSchema)]
struct Ended {
    #[schema(value_type = String)]
    id: SessionId,
}

/// Log out
///
/// Its tokens are worth nothing from then on.
#[utoipa::path(post, path = "/auth/logout", tag = "Sessions",
    responses((status = 200, body = Envelope<Ended>)))]
async fn logout(caller: Caller, State(state): State<ApiState>) -> ApiResult<Ended> {
    match caller {
        Caller::Person { session, .. } => {
            sessions::revoke(&state.store, session).await?;
            Ok(Envelope::of(Ended { id: session }))
        }
        Caller::Token(_) => Err(ApiError::Forbidden("An API token has no session; delete the token instead")),
    }
}

/// An invitation, and the password of whom it is for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Acceptance {
    #[schema(value_type = String)]
    token: Secret,
    /// The invited person's password; who has none yet chooses it here.
    #[schema(value_type = String)]
    password: Secret,
}

/// Accept an invitation
///
/// Works the same for people who have a login and people who have none, so that an invitation does
/// not tell which.
#[utoipa::path(post, path = "/auth/accept-invitation", tag = "Sessions", request_body = Acceptance,
    security(()), responses((status = 200, body = Envelope<Tokens>)))]
async fn accept_invitation(
    State(state): State<ApiState>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    Body(Acceptance { token, password }): Body<Acceptance>,
) -> ApiResult<Tokens> {
    let Presented::Token(TokenRef { kind: TokenKind::Invitation, id }) = token::read(token.expose()) else {
        return Err(BAD_INVITATION);
    };
    let member = MemberId(id);
    let mut transaction = state.store.pool.begin().await?;
    let found = members::invitation(&mut transaction, member).await?;
    let (_, email) = found.filter(|(digest, _)| digest.matches(token.expose())).ok_or(BAD_INVITATION)?;
    let user = match users::credentials(&mut *transaction, &email).await? {
        Some(known) => prove(&state, &email, &password, Some(known), address(peer)).await?,
        None => {
            let hash = state.passwords.hash(&password).await?;
            let id = UserId(Uuid::now_v7());
            users::create(&mut transaction, id, &email, &hash).await.map_err(taken)?.id
        }
    };
    members::accept(&mut transaction, member, user).await?;
    transaction.commit().await?;
    Ok(Envelope::of(begin(&state, user).await?))
}

/// Lets in whoever has the right password. Takes as long when there is no such user.
async fn prove(
    state: &ApiState,
    email: &str,
    password: &Secret,
    found: Option<(UserId, String)>,
    address: Option<IpAddr>,
) -> Result<UserId, ApiError> {
    state.attempts.count(email, address, Instant::now())?;
    let (user, hash) = found.unzip();
    if !state.passwords.matches(password, hash).await? {
        return Err(WRONG_LOGIN);
    }
    state.attempts.forget(email, address);
    user.ok_or(WRONG_LOGIN)
}

async fn begin(state: &ApiState, user: UserId) -> Result<Tokens, ApiError> {
    let session = SessionId(Uuid::now_v7());
    let (refresh, digest) = token::mint(TokenKind::Refresh, session.0, random()?);
    let expires_at = OffsetDateTime::now_utc() + SESSION_LIFETIME;
    sessions::create(&state.store, session, user, &digest, expires_at).await?;
    tokens(state, user, session, &refresh)
}

fn tokens(state: &ApiState, user: UserId, session: SessionId, refresh: &Secret) -> Result<Tokens, ApiError> {
    let access =
        state.sessions.issue(user, session, OffsetDateTime::now_utc()).map_err(ApiError::Internal)?;
    Ok(Tokens {
        access_token: access.expose().to_owned(),
        token_type: "Bearer",
        expires_in: ACCESS_LIFETIME.whole_seconds(),
        refresh_token: refresh.expose().to_owned(),
    })
}

fn taken(error: StoreError) -> ApiError {
    match error.constraint() {
        Some(users::EMAIL_TAKEN) => EMAIL_TAKEN,
        _ => error.into(),
    }
}

fn address(peer: Option<Extension<ConnectInfo<SocketAddr>>>) -> Option<IpAddr> {
    peer.map(|Extension(ConnectInfo(peer))| peer.ip().to_canonical())
}
