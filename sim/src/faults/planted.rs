//! Planted faults: small defects that the checks must notice.
//!
//! They are planted at interfaces that the simulator owns (the loop that commits and sends, the frames, the
//! observer, the service's shell), so no code in Sampan knows of them.

/// One planted fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mutation {
    /// The journal's syncs do nothing, and intents are answered.
    IntentNotSynced,
    /// Now and then a commit of the cache class is forgotten; its effects are carried out.
    LostCacheCommit,
    /// Now and then a commit of the intent class is forgotten; the call is answered.
    LostIntentCommit,
    /// Now and then a change is not told to observers.
    LostChange,
    /// Now and then views are not told which conversations a commit touched.
    LostMark,
    /// No timer rings.
    LostTimer,
    /// A commit that failed is taken for one that succeeded.
    BelievedCommit,
    /// The tree's syncs do nothing, and messages are acknowledged.
    NeverSynced,
    /// Messages leave without their idempotency token.
    LostToken,
    /// Calls of the app are handed in out of order.
    SwappedCalls,
    /// Sessions open with a cursor of unread notifications from the future.
    UnreadCursorAhead,
    /// Sessions open with a cursor of patches from the future.
    PatchCursorAhead,
    /// Read marks never reach the service.
    LostReadMark,
    /// Now and then a live message is swallowed on the way.
    LostMessage,
    /// Pages of history lack their second message.
    ShortPage,
    /// Edits and recalls are swallowed on the way.
    LostPatch,
    /// Unread counts arrive one too high.
    WrongUnread,
    /// Live messages arrive with another time than the service gave them.
    WrongTime,
    /// The service answers and delivers before it commits, and crashes lose the batch.
    ServiceTellsFirst,
    /// Acknowledgements of messages never arrive.
    LostAcknowledgement,
    /// An engine wakes every few seconds, for nothing.
    BusyTimer,
    /// A message that another process of the app left is removed from the inbox and not enqueued.
    ForgottenImport,
    /// Now and then a message leaves twice, the second time without its token.
    SentTwice,
    /// Unread counts are never told at sign-in.
    LostUnread,
    /// Live messages arrive under another name.
    WrongSender,
    /// Edits leave with other words.
    WrongEdit,
    /// Recalls leave as edits.
    LostRecall,
    /// Attributes leave with other values.
    WrongAttribute,
    /// A mute leaves as an unmute.
    WrongMute,
    /// In place of a member that is added or removed, somebody else is.
    WrongMember,
    /// A mark up to a message leaves with a time before it.
    ShortMark,
    /// A file that was sent stays in the spool.
    ForgottenFile,
    /// Files that were left over by a power cut stay in the spool.
    UnsweptSpool,
    /// An upload is told to be done before its bytes have left.
    UploadBelieved,
    /// Now and then an upload asks for another ticket although it has one.
    SecondTicket,
    /// Messages lose the local id that the app gave them before they are enqueued.
    FreshLocalId,
    /// A message that the app wants kept as failed is sent.
    KeptIsSent,
    /// The removal of an unsent message is answered and forgotten.
    LostRemoval,
    /// A message that came by another way is kept with other words.
    WrongForeign,
    /// Clients of the hosted service keep no pace.
    HastyPace,
    /// A refusal that will pass arrives as one for good.
    HarshVerdict,
    /// A client that leaves a conversation asks to join it.
    WrongQuit,
}

impl Mutation {
    /// Every planted fault.
    pub const ALL: &[Self] = &[
        Self::IntentNotSynced,
        Self::LostCacheCommit,
        Self::LostIntentCommit,
        Self::LostChange,
        Self::LostMark,
        Self::LostTimer,
        Self::BelievedCommit,
        Self::NeverSynced,
        Self::LostToken,
        Self::SwappedCalls,
        Self::UnreadCursorAhead,
        Self::PatchCursorAhead,
        Self::LostReadMark,
        Self::LostMessage,
        Self::ShortPage,
        Self::LostPatch,
        Self::WrongUnread,
        Self::WrongTime,
        Self::ServiceTellsFirst,
        Self::LostAcknowledgement,
        Self::BusyTimer,
        Self::ForgottenImport,
        Self::SentTwice,
        Self::LostUnread,
        Self::WrongSender,
        Self::WrongEdit,
        Self::LostRecall,
        Self::WrongAttribute,
        Self::WrongMute,
        Self::WrongMember,
        Self::ShortMark,
        Self::ForgottenFile,
        Self::UnsweptSpool,
        Self::UploadBelieved,
        Self::SecondTicket,
        Self::FreshLocalId,
        Self::KeptIsSent,
        Self::LostRemoval,
        Self::WrongForeign,
        Self::HastyPace,
        Self::HarshVerdict,
        Self::WrongQuit,
    ];

    /// The number of seeds, from seed 0, within which [`Mutation::check`] must notice, and the name of
    /// that check. The number leaves room: other plans under the same seeds notice a little later.
    const fn limit_and_check(self) -> (u64, &'static str) {
        match self {
            Self::IntentNotSynced => (60, "lost"),
            Self::LostCacheCommit => (4, "stuck"),
            Self::LostIntentCommit | Self::LostToken => (4, "lost"),
            Self::LostChange | Self::WrongTime => (4, "told"),
            Self::LostMark => (24, "shown"),
            Self::LostTimer => (4, "online"),
            Self::BelievedCommit => (40, "stuck"),
            Self::NeverSynced => (40, "acknowledged"),
            Self::SwappedCalls => (4, "order"),
            Self::UnreadCursorAhead => (40, "unread"),
            Self::PatchCursorAhead => (40, "timeline"),
            Self::LostReadMark | Self::WrongUnread | Self::LostUnread | Self::WrongSender => {
                (4, "unread")
            }
            Self::LostMessage | Self::ShortPage | Self::LostAcknowledgement => (4, "hole"),
            Self::LostPatch => (4, "timeline"),
            Self::ServiceTellsFirst => (900, "lost"),
            Self::BusyTimer => (4, "idle"),
            Self::ForgottenImport => (40, "lost"),
            Self::SentTwice => (4, "twice"),
            Self::WrongEdit => (12, "timeline"),
            Self::LostRecall | Self::WrongAttribute => (24, "lost change"),
            Self::WrongMute => (120, "muted"),
            Self::WrongMember | Self::WrongQuit => (60, "members"),
            Self::ShortMark => (4, "unread"),
            Self::ForgottenFile => (12, "spool"),
            Self::UnsweptSpool => (40, "spool"),
            Self::UploadBelieved | Self::SecondTicket => (12, "file"),
            Self::FreshLocalId => (40, "twice"),
            Self::KeptIsSent => (12, "kept"),
            Self::LostRemoval => (24, "removed"),
            Self::WrongForeign => (120, "timeline"),
            Self::HastyPace => (160, "paced"),
            Self::HarshVerdict => (120, "verdict"),
        }
    }

    /// The number of seeds, from seed 0, within which the planted fault must be noticed.
    #[must_use]
    pub const fn limit(self) -> u64 {
        self.limit_and_check().0
    }

    /// The name of the check that must notice.
    #[must_use]
    pub const fn check(self) -> &'static str {
        self.limit_and_check().1
    }
}
