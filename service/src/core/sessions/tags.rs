//! Tags and devices: the sessions of a client that give way to a new one.

use sampan::model::DeviceTag;
use sampan::wire::ServiceCode;
use sampan::wire::generated::SessionCommand;

use crate::core::exchange::input::SessionId;
use crate::core::exchange::refusal::Refusal;
use crate::core::state::registry::Session;
use crate::storage::Token;

/// The facts for opening a session.
pub(in crate::core) struct OpenFacts<'a> {
    pub(in crate::core) id: &'a SessionId,
    pub(in crate::core) request: &'a SessionCommand,
    /// The token that came along, with its digest, if it is known, live, and this client's.
    pub(in crate::core) token: Option<(String, Token)>,
    /// The sessions of the same client, anywhere.
    pub(in crate::core) others: Vec<(SessionId, Session)>,
}

/// The result of opening a session.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::core) struct Opening {
    pub(in crate::core) tag: Option<DeviceTag>,
    pub(in crate::core) device: Option<String>,
    pub(in crate::core) displaced: Vec<(SessionId, Displacement)>,
}

/// The way in which a session makes room for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::core) enum Displacement {
    /// The session was of a broken connection of the same device: no client is told.
    Replaced,
    /// The session was of another device with the same tag, which is told.
    Kicked,
}

/// Decides if a client may be signed in, by the rules of the protocol, sections 4.4 and 4.5.
pub(in crate::core) fn decide_open(facts: OpenFacts<'_>) -> Result<Opening, Refusal> {
    let OpenFacts {
        id,
        request,
        token,
        others,
    } = facts;
    let named = request.tag.as_deref().filter(|tag| !tag.is_empty());
    let tag = match (named, &token) {
        (Some(tag), _) => {
            let tag = DeviceTag::new(tag);
            Some(tag.map_err(|e| Refusal::because(ServiceCode::INVALID_LOGIN, e.to_string()))?)
        }
        // Clients that come back by token do not repeat their tag.
        (None, Some((_, token))) => token.tag.clone(),
        (None, None) => None,
    };
    let device = request
        .device_token
        .as_ref()
        .or(request.device_id.as_ref())
        .cloned();
    let device = device
        .filter(|device| !device.is_empty())
        .or_else(|| token.as_ref().and_then(|(_, token)| token.device.clone()));
    let digest = token.as_ref().map(|(digest, _)| digest.as_str());
    let mut displaced = Vec::new();
    for (other, session) in others.into_iter().filter(|(other, _)| other != id) {
        let same_token = digest.is_some_and(|digest| digest == session.token);
        let same_device = device.is_some() && device == session.device;
        let same_tag = tag == session.tag;
        if same_token || (same_device && same_tag) {
            displaced.push((other, Displacement::Replaced));
        } else if same_tag && tag.as_ref().is_some_and(DeviceTag::is_exclusive) {
            if request.r == Some(true) {
                return Err(ServiceCode::SESSION_CONFLICT.into());
            }
            displaced.push((other, Displacement::Kicked));
        }
    }
    Ok(Opening {
        tag,
        device,
        displaced,
    })
}

#[cfg(test)]
mod tests {
    use sampan::model::{ClientId, Timestamp};

    use super::*;
    use crate::core::exchange::input::ConnectionId;

    fn id(connection: u64) -> SessionId {
        let client = ClientId::new("Tom").unwrap();
        SessionId {
            connection: ConnectionId(connection),
            client,
        }
    }

    fn tag(tag: &str) -> Option<DeviceTag> {
        Some(DeviceTag::new(tag).unwrap())
    }

    fn request(tag: Option<&str>, device: Option<&str>, reconnect: bool) -> SessionCommand {
        SessionCommand {
            tag: tag.map(str::to_owned),
            device_id: device.map(str::to_owned),
            r: Some(reconnect),
            ..SessionCommand::default()
        }
    }

    fn open(
        request: &SessionCommand,
        token: Option<(&str, Option<DeviceTag>)>,
        other: Session,
    ) -> Result<Vec<Displacement>, ServiceCode> {
        let token = token.map(|(digest, tag)| {
            let client = ClientId::new("Tom").unwrap();
            let token = Token {
                client,
                tag,
                device: None,
                authenticated_at: Timestamp::ZERO,
                signed: false,
                expires_at: Timestamp::ZERO,
            };
            (digest.to_owned(), token)
        });
        let (displaced_id, id) = (id(1), id(2));
        let others = vec![(displaced_id, other)];
        let facts = OpenFacts {
            id: &id,
            request,
            token,
            others,
        };
        let displaced = |opening: Opening| opening.displaced.into_iter().map(|it| it.1).collect();
        decide_open(facts)
            .map(displaced)
            .map_err(|refusal| refusal.code)
    }

    fn other(tag: Option<DeviceTag>, device: &str, token: &str) -> Session {
        let (device, token) = (Some(device.to_owned()), token.to_owned());
        Session {
            tag,
            device,
            token,
            ..Session::default()
        }
    }

    /// S305
    #[test]
    fn a_login_throws_out_the_earlier_device_of_its_tag() {
        let request = request(Some("phone"), Some("b"), false);
        let earlier = other(tag("phone"), "a", "t1");
        assert_eq!(
            open(&request, None, earlier),
            Ok(vec![Displacement::Kicked])
        );
    }

    #[test]
    fn a_reconnect_does_not_throw_out_the_later_device_of_its_tag() {
        let request = request(Some("phone"), Some("b"), true);
        let active = other(tag("phone"), "a", "t1");
        assert_eq!(
            open(&request, None, active),
            Err(ServiceCode::SESSION_CONFLICT)
        );
    }

    #[test]
    fn a_reconnect_by_token_has_the_tag_of_its_token() {
        let request = request(None, None, true);
        let active = other(tag("phone"), "a", "t1");
        let answer = open(&request, Some(("t2", tag("phone"))), active);
        assert_eq!(answer, Err(ServiceCode::SESSION_CONFLICT));
    }

    #[test]
    fn the_same_device_replaces_its_broken_connection() {
        let request = request(Some("phone"), Some("a"), true);
        let zombie = other(tag("phone"), "a", "t1");
        assert_eq!(
            open(&request, None, zombie),
            Ok(vec![Displacement::Replaced])
        );
    }

    #[test]
    fn the_same_token_replaces_its_broken_connection() {
        let request = request(None, None, true);
        let zombie = other(None, "a", "t1");
        assert_eq!(
            open(&request, Some(("t1", None)), zombie),
            Ok(vec![Displacement::Replaced])
        );
    }

    #[test]
    fn devices_without_a_tag_or_with_the_reserved_one_stay_together() {
        for reserved in [None, Some("default"), Some("")] {
            let request = request(reserved, Some("b"), false);
            let mate = other(
                reserved.filter(|it| !it.is_empty()).and_then(tag),
                "a",
                "t1",
            );
            assert_eq!(open(&request, None, mate), Ok(vec![]));
        }
    }
}
