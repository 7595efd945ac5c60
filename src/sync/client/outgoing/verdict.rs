//! The one table of verdicts on a refused entry, by the code of the refusal.
//!
//! The table has the codes for connections and sign-ins too, because a service may refuse any command with any
//! code. An unknown code fails the entry, so the app sees it.

use crate::wire::ServiceCode;

/// The fate of a refused entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::sync::client) enum Verdict {
    /// The entry stays, and is tried again after a pause: `send_tries_max` times in all.
    Later,
    /// The entry stays, and everything of its kind is sent more slowly.
    SlowDown,
    /// The entry stays; the session is opened anew before the entry is sent again.
    SignInFirst,
    /// The entry stays; this client goes offline until the app signs in again.
    Stop,
    /// One more try with a fresh signature, where the app has a signer; then it fails.
    SignAgain,
    /// It fails for good, and the app is told why.
    Fail,
}

impl Verdict {
    /// The verdict on a refused entry.
    pub(in crate::sync::client) const fn on(code: ServiceCode) -> Self {
        match code.number() {
            // The connection or the service is in trouble. 4306 is refused for good by some services;
            // the number of tries is limited.
            0 | 1000 | 1006 | 4107 | 4108 | 4200 | 4201 | 4300 | 4301 | 4306 | 4311 => Self::Later,
            4113 | 4116 | 4318 => Self::SlowDown,
            4102 | 4105 | 4112 => Self::SignInFirst,
            4100 | 4103 | 4106 | 4110 | 4111 | 4115 => Self::Stop,
            4302 => Self::SignAgain,
            _ => Self::Fail,
        }
    }

    /// True if the service may have done it all the same.
    pub(in crate::sync::client) const fn leaves_doubt(self) -> bool {
        matches!(self, Self::Later)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::code::CODES;

    /// The table as the service's documentation sorts it; a code that is in no row fails for good.
    const TABLE: &[(Verdict, &[i32])] = &[
        (
            Verdict::Later,
            &[
                0, 1000, 1006, 4107, 4108, 4200, 4201, 4300, 4301, 4306, 4311,
            ],
        ),
        (Verdict::SlowDown, &[4113, 4116, 4318]),
        (Verdict::SignInFirst, &[4102, 4105, 4112]),
        (Verdict::Stop, &[4100, 4103, 4106, 4110, 4111, 4115]),
        (Verdict::SignAgain, &[4302]),
    ];

    #[test]
    fn every_code_has_the_verdict_that_the_services_documentation_asks_for() {
        for entry in CODES {
            let number = entry.code.number();
            let row = TABLE.iter().find(|(_, codes)| codes.contains(&number));
            let expected = row.map_or(Verdict::Fail, |(verdict, _)| *verdict);
            assert_eq!(Verdict::on(entry.code), expected, "{}", entry.name);
        }
        assert_eq!(Verdict::on(ServiceCode::new(4999)), Verdict::Fail);
    }
}
