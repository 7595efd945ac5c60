//! Refusals of the service, sorted by the text that an app shows.

/// The reason of a refusal by the service, sorted by the text that an app shows. The service's own code stands
/// beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, uniffi::Enum)]
#[non_exhaustive]
pub enum Refusal {
    /// Only members may do it, or the conversation does not exist for this client.
    NotAMember,
    /// The client's role, the kind of conversation or the app's settings do not allow it.
    Forbidden,
    /// The client is blocked or silenced, in the conversation or in the whole app.
    Blocked,
    /// The conversation or the role has as many members as it may have.
    TooManyMembers,
    /// The signature is missing, wrong or too old: see `Signer`.
    Signature,
    /// Another device with the same tag signed in.
    Conflict,
    /// The app's operator removed the client.
    Kicked,
    /// Too many operations in too short a time: the same may succeed later.
    RateLimited,
    /// The conversation or message does not exist at the service, or has ended.
    Gone,
    /// A hook of the app's own server refused.
    ByTheApp,
    /// The service failed: the same may succeed later.
    ServiceFailed,
    /// Another reason: see the code and its name.
    Other,
}

impl Refusal {
    /// The kind of one of the service's codes, which `docs/wire.md` lists.
    #[must_use]
    pub const fn of_code(code: i32) -> Self {
        match code {
            4309 | 4312 | 4317 | 4401 => Self::NotAMember,
            4100 | 4103 | 4110 | 4307 | 4308 | 4313 | 4314 | 4316 | 4320 | 4324 | 4325 | 4403
            | 4406 | 4407 | 4544 => Self::Forbidden,
            4106 | 4315 | 4548 | 4563 => Self::Blocked,
            4304 | 4322 => Self::TooManyMembers,
            4102 | 4302 | 4546 => Self::Signature,
            4101 | 4111 => Self::Conflict,
            4115 => Self::Kicked,
            4113 | 4116 | 4318 => Self::RateLimited,
            4303 | 4323 | 4404 => Self::Gone,
            4305 | 4402 | 4405 => Self::ByTheApp,
            4200 | 4201 | 4300 | 4301 | 4306 | 4311 => Self::ServiceFailed,
            _ => Self::Other,
        }
    }

    /// True if the same call may succeed later without a change by the app.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        matches!(self, Self::RateLimited | Self::ServiceFailed)
    }
}
