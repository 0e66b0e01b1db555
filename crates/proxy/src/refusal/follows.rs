//! What follows from a refusal: whether somebody else may be asked, whether the request goes on, who pays.

use super::Refusal;

impl Refusal {
    /// Whether it is about one provider or one credential, so that another may do.
    pub(crate) fn is_of_one_provider(&self) -> bool {
        matches!(
            self,
            Self::ProviderUnreachable { .. }
                | Self::ProviderBrokeOff { .. }
                | Self::ProviderTimeout { .. }
                | Self::OperatorKeyRefused { .. }
                | Self::OperatorKeyBusy { .. }
                | Self::KeyUnusable
        )
    }

    /// Whether it ended a request that was under way and might have gone on.
    pub(crate) fn ends_what_ran(&self) -> bool {
        self.sends_away() || matches!(self, Self::Stopping)
    }

    /// Whether it sends the caller away, who can bring that about himself.
    pub(crate) fn sends_away(&self) -> bool {
        matches!(self, Self::TokenRevoked | Self::GatewayDeleted)
    }

    /// Whether the gateway's policy may answer in its place: not where the caller is sent away or cannot be
    /// told much, nor what is a mistake of ours.
    pub(crate) fn may_be_answered(&self) -> bool {
        !(self.ends_what_ran() || self.leaves_body_unread() || matches!(self, Self::Bug))
    }

    /// Whether it was we who gave up a request that its provider may go on with, and bill.
    pub(crate) fn abandons(&self) -> bool {
        self.ends_what_ran() || matches!(self, Self::ProviderTimeout { .. } | Self::ProviderStill { .. })
    }

    /// Whether the rest of the caller's body is still to come and not worth waiting for.
    pub(crate) fn leaves_body_unread(&self) -> bool {
        use Refusal::{BodyBroken, BodyTimeout, BodyTooLarge, TooManyBodies};
        matches!(self, BodyTooLarge { .. } | TooManyBodies | BodyTimeout { .. } | BodyBroken)
    }
}
