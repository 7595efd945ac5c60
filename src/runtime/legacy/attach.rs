//! The files of drafts that were never uploaded: the Java SDK keeps their paths in the message. A copy of each waits in
//! the spool, like the file of any other message.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sampan_legacy::Payload as Says;
use serde_json::Value;

use super::super::spooling::SPOOL_SCHEME;
use super::super::{ClientCore, Runtime, clock};
use crate::SampanError;
use crate::model::{MediaKind, MediaSource, MessageContent, NewMedia};
use crate::store::{Adding, Store};
use crate::sync::LegacyDraft;
use crate::wire::content;
use crate::wire::payload::Payload;

impl Runtime {
    /// Copies the file of a draft into the spool, unless the draft is known. A file that is gone is noted in the draft.
    pub(super) async fn attach(
        &self,
        core: &Arc<ClientCore>,
        draft: &mut LegacyDraft,
        path: &Path,
    ) -> Result<Option<Adding>, SampanError> {
        let token = draft.token.clone();
        let knows = move |store: &Store| Ok(store.snapshot().knows_token(&token)?);
        let Some(media) = media_of(&draft.content, path) else {
            return Ok(None);
        };
        if self.read(core, knows).await? {
            return Ok(None);
        }
        let file = clock::randomness().local_id().as_str().to_owned();
        let adding = core.spool.begin(&file);
        let conversation = draft.conversation.clone();
        match self
            .spool(core, conversation, media, file, Arc::default())
            .await
        {
            Ok(call) => {
                draft.content = call.message.content;
                draft.upload = Some(call.upload);
                Ok(Some(adding))
            }
            Err(error @ (SampanError::InvalidArgument { .. } | SampanError::TooLarge { .. })) => {
                draft.lost_file = Some(error.to_string());
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// The path of the file in a draft, and the draft without the path; none where the file was uploaded, or there is none.
pub(super) fn local_file(payload: &Says) -> Option<(PathBuf, MessageContent)> {
    let Says::Text(text) = payload else {
        return None;
    };
    let mut envelope: Value = serde_json::from_str(text).ok()?;
    let file = envelope.get_mut("_lcfile")?.as_object_mut()?;
    let path = file.remove("local_path")?.as_str()?.to_owned();
    let url = file.get("url").and_then(Value::as_str).unwrap_or_default();
    if path.is_empty() || !url.is_empty() {
        return None;
    }
    // Until there is a copy, the address leads to none.
    file.insert("url".to_owned(), SPOOL_SCHEME.into());
    let said = content::decode(Payload::Text(envelope.to_string()));
    said.media().is_some().then(|| (path.into(), said))
}

/// The file of a draft, as an app would send it.
fn media_of(said: &MessageContent, path: &Path) -> Option<NewMedia> {
    let kind = match said {
        MessageContent::Image { .. } => MediaKind::Image,
        MessageContent::Audio { .. } => MediaKind::Audio,
        MessageContent::Video { .. } => MediaKind::Video,
        _ => MediaKind::File,
    };
    let (MessageContent::Image {
        file,
        caption,
        details,
    }
    | MessageContent::Audio {
        file,
        caption,
        details,
    }
    | MessageContent::Video {
        file,
        caption,
        details,
    }
    | MessageContent::File {
        file,
        caption,
        details,
    }) = said.clone()
    else {
        return None;
    };
    let path = path.to_owned();
    Some(NewMedia {
        kind: Some(kind),
        name: file.name,
        mime: file.mime,
        width: file.width,
        height: file.height,
        duration: file.duration,
        caption,
        details,
        ..NewMedia::new(MediaSource::Path { path })
    })
}
