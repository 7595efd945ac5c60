//! The roles of members, from the service's REST interface.

use std::sync::Arc;

use super::uploads::FileService;
use super::{ClientCore, Runtime};
use crate::SampanError;
use crate::model::{ConversationId, Refusal};
use crate::sync::{FreshToken, TakeRoles, UploadError};
use crate::wire::files::refusal;
use crate::wire::roles;

impl Runtime {
    /// Asks for the roles in a conversation, and stores them. Without an address of the REST interface nothing is
    /// asked: roles are known then as far as notifications told them.
    ///
    /// # Errors
    ///
    /// [`SampanError::NotConnected`] without a session, or when the service is not reached;
    /// [`SampanError::Refused`]; [`SampanError::NotFound`] when the conversation is not on this device.
    pub(super) async fn ask_roles(
        &self,
        core: &ClientCore,
        conversation: ConversationId,
    ) -> Result<(), SampanError> {
        if super::uploads::api_base(&self.config).is_none() {
            return Ok(());
        }
        let token = self.mailbox.request(&core.id, FreshToken).await?.token;
        let service = FileService::new(&self.config, Arc::clone(&self.transport));
        let path = roles::roles_path(&core.id, &conversation);
        // The request runs where sockets do.
        let asked = self
            .tasks
            .spawn(async move { service.get(&path, &token).await });
        let (status, body) = match self.callers.outside(asked).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(UploadError::Later { .. })) => return Err(SampanError::NotConnected),
            Ok(Err(_)) | Err(_) => return Err(SampanError::ShutDown),
        };
        if !(200..=299).contains(&status) {
            let (code, reason) = refusal(&body);
            let code = code.unwrap_or_else(|| i32::from(status));
            return Err(SampanError::Refused {
                refusal: Refusal::of_code(code),
                code,
                reason: reason.unwrap_or_else(|| format!("HTTP status {status}")),
            });
        }
        // The answer of a network's sign-in page says nothing of roles.
        let managers = roles::managers(&body).map_err(|_| SampanError::NotConnected)?;
        let call = TakeRoles {
            conversation,
            managers,
        };
        self.mailbox.request(&core.id, call).await.map(drop)
    }
}
