//! The traits that an app implements, observers and signers, and the handle that ends an observation.

use std::sync::Arc;

use crate::SampanError;
use crate::model::{Event, OperationSignature, SigningRequest};
use crate::runtime::{self, Queue};

/// Takes events, in batches and in order.
///
/// It is called on a thread of Sampan's, never on the app's main thread, and never two batches at a
/// time. It may call anything, also what ends its own subscription. An observer that fails is logged
/// and called again with the next batch. One that is too slow gets `Event.Lagged` instead of what it
/// missed, and reads again what it shows. An observer that holds the engine or client that holds it
/// keeps both alive: hold them weakly, or cancel the subscription.
#[uniffi::export(foreign)]
pub trait EventObserver: Send + Sync {
    /// Takes the events of one or more commits.
    ///
    /// # Errors
    ///
    /// An error of the app is logged; nothing else follows from it.
    fn on_events(&self, events: Vec<Event>) -> Result<(), SampanError>;
}

/// An observation. It ends when this is cancelled or dropped.
#[derive(Debug, uniffi::Object)]
pub struct EventSubscription {
    queue: Arc<Queue>,
}

impl EventSubscription {
    pub(super) fn start(
        queue: Arc<Queue>,
        observer: Arc<dyn EventObserver>,
    ) -> Result<Arc<Self>, SampanError> {
        let subscription = Arc::new(Self {
            queue: Arc::clone(&queue),
        });
        runtime::notify(queue, move |events| observer.on_events(events))?;
        Ok(subscription)
    }
}

#[uniffi::export]
impl EventSubscription {
    /// Ends the observation: no batch begins after this. One that is being delivered may still be
    /// running on its thread when this returns.
    pub fn cancel(&self) {
        self.queue.cancel();
    }
}

impl Drop for EventSubscription {
    fn drop(&mut self) {
        self.queue.cancel();
    }
}

/// Asks the app's own server to sign what a client wants to do.
///
/// It is asked when an operation is sent, never when it is enqueued. It may take its time; after 60
/// seconds the operation counts as failed and is tried again later.
#[uniffi::export(foreign)]
#[async_trait::async_trait]
pub trait Signer: Send + Sync {
    /// Brings the signature of one operation.
    ///
    /// # Errors
    ///
    /// Any error of the app; the operation waits and is tried again.
    async fn sign(&self, request: SigningRequest) -> Result<OperationSignature, SampanError>;
}

/// The app's signer, as the loop calls it.
pub(super) fn signer_of(signer: Arc<dyn Signer>) -> runtime::Signer {
    Arc::new(move |request| {
        let signer = Arc::clone(&signer);
        Box::pin(async move {
            let answer = signer.sign(request).await;
            answer.map_err(|error| error.to_string())
        })
    })
}
