//! The traits that an app implements, observers and signers, and the handle that ends an observation.

use std::sync::Arc;

use crate::SampanError;
use crate::model::{Event, OperationSignature, SigningRequest};
use crate::runtime::{self, Queue};

/// Receives events, in batches and in order.
///
/// Sampan calls the observer on a thread of its own, never on the app's main thread, and never two batches at a
/// time. The observer may call any method, also the one that ends its own subscription. An observer that fails is
/// logged, and gets the next batch. An observer that is too slow gets `Event.Lagged` instead of the events that it
/// missed; the app then reads its screens again. An observer that holds its engine or client keeps both alive: hold
/// them weakly, or cancel the subscription.
#[uniffi::export(foreign)]
pub trait EventObserver: Send + Sync {
    /// Receives the events of one or more commits.
    ///
    /// # Errors
    ///
    /// Sampan logs an error of the app and does nothing else with it.
    fn on_events(&self, events: Vec<Event>) -> Result<(), SampanError>;
}

/// An observation. It ends when the subscription is cancelled or dropped.
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
    /// Ends the observation: no batch begins after this call. A batch that is being delivered may still run on its
    /// thread when the call returns.
    pub fn cancel(&self) {
        self.queue.cancel();
    }
}

impl Drop for EventSubscription {
    fn drop(&mut self) {
        self.queue.cancel();
    }
}

/// Asks the app's own server to sign an operation of a client.
///
/// Sampan calls the signer when it sends an operation, never when the operation is enqueued. An answer may take 60
/// seconds; after that the operation counts as failed for now and is tried again later.
#[uniffi::export(foreign)]
#[async_trait::async_trait]
pub trait Signer: Send + Sync {
    /// Answers the signature of one operation.
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
