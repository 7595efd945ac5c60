//! Registers the device for pushes, over the service's REST interface.

use super::uploads::FileService;
use super::{ClientCore, Runtime};
use crate::SampanError;
use crate::model::{PushDevice, Refusal};
use crate::store::Store;
use crate::sync::UploadError;
use crate::wire::files::refusal;
use crate::wire::installation::{INSTALLATIONS_PATH, Installation};

impl Runtime {
    /// Announces the device to the service, for pushes to a client.
    ///
    /// # Errors
    ///
    /// [`SampanError::InvalidArgument`] without an address of the REST interface; [`SampanError::NotConnected`] when
    /// the service is not reached, or the client was never online; [`SampanError::Refused`].
    pub(crate) async fn register_push(
        &self,
        core: &ClientCore,
        device: PushDevice,
    ) -> Result<(), SampanError> {
        if super::uploads::api_base(&self.config).is_none() {
            let reason = "api_url: pushes need the address of the REST interface".to_owned();
            return Err(SampanError::InvalidArgument { reason });
        }
        let session = |store: &Store| Ok(store.snapshot().session().device_id.clone());
        let device_id = self.read(core, session).await?;
        let device_id = device_id.ok_or(SampanError::NotConnected)?;
        let installation = Installation {
            client: &core.id,
            device: &device,
            installation_id: &device_id,
        };
        let service = FileService::new(&self.config, std::sync::Arc::clone(&self.transport));
        let body = installation.encode();
        // The request runs where sockets do.
        let asked = self
            .tasks
            .spawn(async move { service.post(INSTALLATIONS_PATH, body).await });
        match self.callers.outside(asked).await {
            Ok(Ok((200..=299, _))) => Ok(()),
            Ok(Ok((status, body))) => {
                let (code, reason) = refusal(&body);
                let code = code.unwrap_or_else(|| i32::from(status));
                Err(SampanError::Refused {
                    refusal: Refusal::of_code(code),
                    code,
                    reason: reason.unwrap_or_else(|| format!("HTTP status {status}")),
                })
            }
            Ok(Err(UploadError::Later { .. })) => Err(SampanError::NotConnected),
            Ok(Err(_)) | Err(_) => Err(SampanError::ShutDown),
        }
    }
}
