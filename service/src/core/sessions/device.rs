//! The logins of devices, for push and for live queries. This service has neither over the socket: it takes the
//! app that such a login names, and answers where an SDK waits (the protocol, section 2.4 and appendix D).

use sampan::wire::generated::LoggedinCommand;
use sampan::wire::{Command, Envelope, ServiceCode};

use crate::core::exchange::decision::Decision;
use crate::core::exchange::input::ConnectionId;
use crate::core::exchange::refusal::Refusal;
use crate::core::machine::Core;
use crate::storage::Storage;

impl<S: Storage> Core<S> {
    /// `login`. The Java SDK names its app here and nowhere else; its login has no number and waits
    /// for nothing. The live-query client of the JavaScript SDK waits for `loggedin`.
    pub(in crate::core) fn login(
        &mut self,
        connection: ConnectionId,
        envelope: &Envelope,
    ) -> Result<Decision, Refusal> {
        if let Some(named) = envelope.app_id.as_deref() {
            let served = self.apps.find(named).map(|app| app.credentials.id.clone());
            let app = served.ok_or(ServiceCode::APP_NOT_AVAILABLE)?;
            self.registry.name_app(connection, app);
        }
        Ok(match envelope.serial {
            Some(_) => Decision::reply(Command::Loggedin(LoggedinCommand::default())),
            None => Decision::silent(),
        })
    }
}
