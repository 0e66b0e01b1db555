//! Authorised by type: a handler that takes `gateway: Authorized<Gateway, AiGatewayWrite>` has
//! nothing left to check.

use std::marker::PhantomData;
use std::ops::Deref;
use std::str::FromStr;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use model::AccountId;
use model::permission::{Permission, Permissions};
use store::accounts::{self, Account};
use store::{Store, StoreError};

use super::ApiState;
use super::caller::Caller;
use super::error::ApiError;

/// An object of the account that the path names, and the proof that the caller may do `P` there.
///
/// Unknown and forbidden are the same: 404, code 7002. Only who shows no credentials, or bad ones,
/// is told 401.
#[derive(Debug)]
pub struct Authorized<T, P> {
    /// The account of the path.
    pub account: AccountId,
    /// Who asks.
    pub caller: Caller,
    /// All that the caller may do in this account: nobody can give more than he has.
    pub permissions: Permissions,
    object: T,
    permit: PhantomData<fn() -> P>,
}

impl<T, P> Deref for Authorized<T, P> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.object
    }
}

/// What can be found by the ids in a path, within one account.
pub trait Guarded: Sized {
    /// The object; `None` if the account has no such.
    fn find(
        store: &Store,
        account: AccountId,
        path: &PathIds,
    ) -> impl Future<Output = Result<Option<Self>, StoreError>> + Send;
}

/// A permission as a type.
pub trait Permit {
    /// Which one.
    const PERMISSION: Permission;
}

macro_rules! permits {
    ($($name:ident,)*) => {$(
        #[doc = concat!("`Permission::", stringify!($name), "` as a type.")]
        #[derive(Debug)]
        pub struct $name;

        impl Permit for $name {
            const PERMISSION: Permission = Permission::$name;
        }
    )*};
}

permits! {
    AccountRead,
    AccountWrite,
    AccountOwn,
    TokensRead,
    TokensWrite,
    AiGatewayRead,
    AiGatewayWrite,
    BillingRead,
    BillingWrite,
}

/// The ids in a path.
pub struct PathIds(RawPathParams);

impl PathIds {
    /// The id that stands at `{name}`; `None` if what stands there can be no such id.
    pub fn id<T: FromStr>(&self, name: &str) -> Option<T> {
        self.0.iter().find(|(key, _)| *key == name).and_then(|(_, value)| value.parse().ok())
    }
}

impl FromRequestParts<ApiState> for PathIds {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        RawPathParams::from_request_parts(parts, state).await.map(Self).map_err(|_| ApiError::NotFound)
    }
}

impl<T, P> FromRequestParts<ApiState> for Authorized<T, P>
where
    T: Guarded + Send,
    P: Permit,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let path = PathIds::from_request_parts(parts, state).await?;
        let account: AccountId = path.id("account_id").ok_or(ApiError::NotFound)?;
        let permissions = caller.permissions(&state.store, account).await?;
        if !permissions.contains(&P::PERMISSION) {
            return Err(ApiError::NotFound);
        }
        let object = T::find(&state.store, account, &path).await?.ok_or(ApiError::NotFound)?;
        Ok(Self { account, caller, permissions, object, permit: PhantomData })
    }
}

impl Guarded for Account {
    async fn find(store: &Store, account: AccountId, _: &PathIds) -> Result<Option<Self>, StoreError> {
        accounts::get(store, account).await
    }
}
