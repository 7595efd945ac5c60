//! Messages to peers without a created conversation; first generation API.
//!
//! Such messages are kept in a conversation that no client made. Its id is computed from the peers alone, so
//! every peer finds it, and an app's server finds its history.

use std::collections::BTreeSet;

use md5::{Digest, Md5};

use super::signature::hex;
use crate::model::{ClientId, ConversationId};

/// The id of the conversation of these peers, the sender among them: the MD5, in lower-case
/// hexadecimal, of their ids in ascending order of bytes, joined by `:`.
///
/// `None` where an id has a colon: the text of other peers could be the same.
#[must_use]
pub fn conversation_of(peers: &BTreeSet<ClientId>) -> Option<ConversationId> {
    if peers.iter().any(|peer| peer.as_str().contains(':')) {
        return None;
    }
    let names: Vec<&str> = peers.iter().map(ClientId::as_str).collect();
    ConversationId::new(hex(&Md5::digest(names.join(":")))).ok()
}

/// True if an id has the form of a conversation of peers. Ids of all other conversations differ from
/// it by their length or their prefix.
#[must_use]
pub fn is_of_peers(id: &ConversationId) -> bool {
    id.is_of_peers()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peers(names: &[&str]) -> BTreeSet<ClientId> {
        names
            .iter()
            .map(|name| ClientId::new(name).unwrap())
            .collect()
    }

    /// The digest is the one of `printf 'Jerry:Tom' | md5sum`.
    #[test]
    fn s274_the_id_of_a_conversation_of_peers_is_the_md5_of_their_sorted_ids() {
        let id = conversation_of(&peers(&["Tom", "Jerry"])).unwrap();
        assert_eq!(id.as_str(), "c0a42b25e09d3689a27f346a9b498ea1");
        assert_eq!(conversation_of(&peers(&["Jerry", "Tom"])), Some(id.clone()));
        assert!(is_of_peers(&id));
    }

    #[test]
    fn an_id_with_a_colon_has_no_conversation_of_peers() {
        assert_eq!(conversation_of(&peers(&["Jerry:Tom", "Spike"])), None);
    }

    #[test]
    fn ids_of_other_conversations_have_another_form() {
        for other in [
            "5f0c0e3a9d1f2b0006a1b2c3",
            "_tmp:0123456789abcdef0123456789abcdef",
        ] {
            assert!(
                !is_of_peers(&ConversationId::new(other).unwrap()),
                "{other}"
            );
        }
    }
}
