//! Plug-ins: code of the app that sees objects when they are made, and messages before the engine reads them.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::SampanError;
use crate::model::{Json, MessageContent, ParsedMessage};
use crate::runtime::MessageHooks;

use super::client::Client;
use super::conversation::Conversation;
use super::engine::Engine;

/// Code of the app that takes part in the engine's work. `Engine.open_with_plugins` takes the plug-ins, which run
/// in that order: each gets the result of the plug-in before it.
///
/// The hooks for messages get the messages of other clients, in every form: live, from history, as the last message
/// of a conversation, and as an edit. The engine stores and shows the answers of the hooks. Hooks run on threads of
/// Sampan, one at a time for a connection, and may take five seconds each. Later messages wait meanwhile, and the
/// engine's loop does not. When a hook fails, panics or takes longer, the log names its plug-in and the message
/// stays as it was. The engine skips a plug-in while one of its hooks still runs after five seconds.
///
/// A plug-in that holds the engine, a client or a conversation keeps the engine alive: hold these weakly.
#[uniffi::export(foreign)]
#[async_trait::async_trait]
pub trait EnginePlugin: Send + Sync {
    /// The plug-in's name, for logs. Called once, before the engine starts.
    fn name(&self) -> String;

    /// An engine was opened. Called before `open_with_plugins` returns.
    ///
    /// # Errors
    ///
    /// An error of the app is logged; the engine opens nevertheless.
    fn engine_created(&self, engine: Arc<Engine>) -> Result<(), SampanError>;

    /// A handle of a client was made. Called before `Engine.client` returns, each time.
    ///
    /// # Errors
    ///
    /// As `engine_created`.
    fn client_created(&self, client: Arc<Client>) -> Result<(), SampanError>;

    /// A handle of a conversation was made. Called before the client's call that gives the handle returns, each
    /// time.
    ///
    /// # Errors
    ///
    /// As `engine_created`.
    fn conversation_created(&self, conversation: Arc<Conversation>) -> Result<(), SampanError>;

    /// Called before a message is parsed, with its payload if that is JSON. The engine parses the answer.
    ///
    /// # Errors
    ///
    /// An error of the app is logged; the engine parses the payload as it was.
    async fn before_parse(&self, payload: Json) -> Result<Json, SampanError>;

    /// Called after a message was parsed. The answer becomes the content of the message.
    ///
    /// # Errors
    ///
    /// An error of the app is logged; the message stays as it was parsed.
    async fn after_parse(&self, message: ParsedMessage) -> Result<MessageContent, SampanError>;
}

/// The plug-ins of an engine, as its handles know them.
#[derive(Clone, Default)]
pub(super) struct Decorators(Arc<[Named]>);

/// A plug-in, and the name that it gave once.
#[derive(Clone)]
struct Named {
    name: Arc<str>,
    plugin: Arc<dyn EnginePlugin>,
}

impl Named {
    /// A plug-in, with the name "without a name" when asking for its name panics.
    fn new(plugin: Arc<dyn EnginePlugin>) -> Self {
        let name = catch_unwind(AssertUnwindSafe(|| plugin.name()));
        let name = name.unwrap_or_else(|_| "without a name".to_owned());
        Self {
            name: name.into(),
            plugin,
        }
    }
}

impl fmt::Debug for Decorators {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Decorators({})", self.0.len())
    }
}

impl Decorators {
    pub(super) fn new(plugins: Vec<Arc<dyn EnginePlugin>>) -> Self {
        Self(plugins.into_iter().map(Named::new).collect())
    }

    /// The hooks for messages.
    pub(super) fn hooks(&self) -> Vec<Arc<dyn MessageHooks>> {
        let of = |it: &Named| -> Arc<dyn MessageHooks> { Arc::new(HooksOf(it.clone())) };
        self.0.iter().map(of).collect()
    }

    pub(super) fn engine(&self, engine: &Arc<Engine>) {
        self.each("for an engine", |it| it.engine_created(Arc::clone(engine)));
    }

    pub(super) fn client(&self, client: &Arc<Client>) {
        self.each("for a client", |it| it.client_created(Arc::clone(client)));
    }

    pub(super) fn conversation(&self, conversation: &Arc<Conversation>) {
        self.each("for a conversation", |it| {
            it.conversation_created(Arc::clone(conversation))
        });
    }

    fn each(&self, when: &str, decorate: impl Fn(&dyn EnginePlugin) -> Result<(), SampanError>) {
        for Named { name, plugin } in self.0.iter() {
            match catch_unwind(AssertUnwindSafe(|| decorate(plugin.as_ref()))) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => log::warn!("the plug-in {name} failed {when}: {error}"),
                Err(_) => log::warn!("the plug-in {name} panicked {when}"),
            }
        }
    }
}

/// A plug-in, as the runtime calls it.
struct HooksOf(Named);

impl MessageHooks for HooksOf {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn before_parse(&self, payload: Json) -> BoxFuture<'static, Result<Json, String>> {
        let plugin = Arc::clone(&self.0.plugin);
        Box::pin(async move {
            let changed = plugin.before_parse(payload).await;
            changed.map_err(|error| error.to_string())
        })
    }

    fn after_parse(
        &self,
        message: ParsedMessage,
    ) -> BoxFuture<'static, Result<MessageContent, String>> {
        let plugin = Arc::clone(&self.0.plugin);
        Box::pin(async move {
            let changed = plugin.after_parse(message).await;
            changed.map_err(|error| error.to_string())
        })
    }
}

/// Escapes the characters that HTML reads as markup: `&`, `<`, `>`, `"` and `'`. Use it for texts of others in a
/// web page; Sampan itself escapes nothing.
#[uniffi::export]
#[must_use]
pub fn escape_html(text: String) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A plug-in that fails at everything.
    struct Broken;

    #[async_trait::async_trait]
    impl EnginePlugin for Broken {
        fn name(&self) -> String {
            panic!("it has no name")
        }

        fn engine_created(&self, _engine: Arc<Engine>) -> Result<(), SampanError> {
            Err(SampanError::ShutDown)
        }

        fn client_created(&self, _client: Arc<Client>) -> Result<(), SampanError> {
            Err(SampanError::ShutDown)
        }

        fn conversation_created(
            &self,
            _conversation: Arc<Conversation>,
        ) -> Result<(), SampanError> {
            Err(SampanError::ShutDown)
        }

        async fn before_parse(&self, _payload: Json) -> Result<Json, SampanError> {
            Err(SampanError::ShutDown)
        }

        async fn after_parse(
            &self,
            _message: ParsedMessage,
        ) -> Result<MessageContent, SampanError> {
            Err(SampanError::ShutDown)
        }
    }

    #[test]
    fn a_plug_in_that_can_not_tell_its_name_harms_nobody() {
        let plugins = Decorators::new(vec![Arc::new(Broken)]);
        plugins.each("for nothing", |_| Err(SampanError::ShutDown));
        assert_eq!(plugins.hooks()[0].name(), "without a name");
    }
}
