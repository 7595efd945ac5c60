//! The loop as its thread sees it.

use super::*;
use crate::ServerAddress;
use crate::model::AppId;
use crate::net::MemoryTransport;
use crate::runtime::callers::Callers;
use crate::runtime::mailbox::Mailbox;
use crate::store::MemoryDisk;
use crate::sync::CreateConversation;

#[tokio::test]
async fn an_idle_loop_without_a_connection_wants_no_wake() {
    let server = ServerAddress::Socket {
        url: "ws://memory/".to_owned(),
    };
    let config = Config::new(AppId::new("app").unwrap(), "key", server, "/nowhere");
    let (transport, _peer) = MemoryTransport::pair();
    let outward = Outward::new(Callers::inline());
    let board = Arc::clone(&outward.board);
    let (_mailbox, waiting) = Mailbox::new(Callers::inline(), board);
    let files = Threads::new("files", 1);
    let mut driver = Driver::new(config, Arc::new(transport), waiting, outward, files);
    let ann = ClientId::new("ann").unwrap();
    let opened = OpenedClient::in_memory(&MemoryDisk::new(7), &ann);
    driver.admit(opened);
    let (done, answer) = oneshot::channel();
    let conversation = crate::model::NewConversation::default();
    driver.take(Input::Command(Command::Request {
        client: ann,
        request: Box::new(CreateConversation { conversation }.into()),
        done,
    }));
    driver.turns.work_until_idle();
    answer.await.unwrap().unwrap();
    driver.turns.flush_all();
    assert_eq!(
        driver.deadline(),
        None,
        "unsent work waits for a connection, not for time"
    );
}
