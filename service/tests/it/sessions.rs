//! Signing in, coming back, being thrown out.

use sampan::wire::generated::SessionCommand;
use sampan::wire::{Command, Envelope, Op};

use crate::client::{Client, service};

fn with_tag(tag: &str, reconnect: bool) -> SessionCommand {
    SessionCommand {
        tag: Some(tag.to_owned()),
        r: Some(reconnect),
        ..SessionCommand::default()
    }
}

#[tokio::test]
async fn a_session_opens_with_a_token_and_the_services_time() {
    let service = service().await;
    let mut tom = Client::connect(&service, "Tom").await;
    let opening = tom.opening(SessionCommand::default());
    let opened = tom.ask_envelope(opening).await;
    assert_eq!(opened.peer_id.as_deref(), Some("Tom"));
    assert!(opened.server_ts.is_some());
    let Command::Session {
        op: Op::Opened,
        body,
    } = opened.command
    else {
        panic!("not opened")
    };
    assert!(body.st.is_some() && body.st_ttl == Some(172_800) && body.code.is_none());
    service.stop().await;
}

#[tokio::test]
async fn a_client_without_an_id_is_given_one() {
    let service = service().await;
    let mut tom = Client::connect(&service, "Tom").await;
    let mut opening = tom.opening(SessionCommand::default());
    opening.peer_id = None;
    let opened = tom.ask_envelope(opening).await;
    assert!(opened.peer_id.is_some_and(|peer| peer.len() == 22));
}

#[tokio::test]
async fn a_login_throws_out_the_earlier_device_of_its_tag() {
    let service = service().await;
    let mut phone = Client::connect(&service, "Tom").await;
    phone.sign_in(with_tag("phone", false)).await;
    let mut other = Client::connect(&service, "Tom").await;
    other.sign_in(with_tag("phone", false)).await;
    let code = phone
        .hear_until(|command| match command {
            Command::Session {
                op: Op::Closed,
                body,
            } => Some(body.code),
            _ => None,
        })
        .await;
    assert_eq!(code, Some(4111));
    let mut again = Client::connect(&service, "Tom").await;
    let refused = again
        .ask_envelope(again.opening(with_tag("phone", true)))
        .await;
    let Command::Session {
        op: Op::Closed,
        body,
    } = refused.command
    else {
        panic!("not closed")
    };
    assert_eq!(body.code, Some(4111));
}

#[tokio::test]
async fn a_token_reopens_and_a_forged_one_is_refused_with_4112() {
    let service = service().await;
    let mut tom = Client::connect(&service, "Tom").await;
    let st = tom.sign_in(SessionCommand::default()).await.st;
    drop(tom);
    let mut tom = Client::connect(&service, "Tom").await;
    let by_token = SessionCommand {
        st,
        r: Some(true),
        ..SessionCommand::default()
    };
    assert!(tom.sign_in(by_token.clone()).await.st.is_some());
    let mut mallory = Client::connect(&service, "Mallory").await;
    let opening = mallory.opening(by_token);
    let Command::Error(error) = mallory.ask_envelope(opening).await.command else {
        panic!("a token is for its own client")
    };
    assert_eq!(error.code, 4112);
}

#[tokio::test]
async fn several_clients_share_a_connection_and_each_is_addressed() {
    let service = service().await;
    let mut tom = Client::open(&service, "Tom").await;
    assert_eq!(tom.ask(Command::Echo).await, Command::Echo);
    let mut second = Envelope::new(Command::session(Op::Open, SessionCommand::default()));
    second.app_id = Some("myApp".to_owned());
    tom.ask_envelope(second.with_peer("Jerry")).await;
    let query = SessionCommand {
        session_peer_ids: vec!["Jerry".into(), "Bob".into()],
        ..SessionCommand::default()
    };
    let query = Envelope::new(Command::session(Op::Query, query));
    // With two sessions, a command that names none is nobody's.
    let Command::Error(error) = tom.ask_envelope(query.clone()).await.command else {
        panic!("a command of nobody")
    };
    assert_eq!(error.code, 4105);
    let reply = tom.ask_envelope(query.with_peer("Tom")).await;
    let Command::Session {
        op: Op::QueryResult,
        body,
    } = reply.command
    else {
        panic!("no result")
    };
    assert_eq!(body.online_session_peer_ids, vec!["Jerry".to_owned()]);
}

#[tokio::test]
async fn a_closed_session_is_closed_without_a_code() {
    let service = service().await;
    let mut tom = Client::open(&service, "Tom").await;
    let close = Command::session(Op::Close, SessionCommand::default());
    let Command::Session {
        op: Op::Closed,
        body,
    } = tom.ask(close.clone()).await
    else {
        panic!("not closed")
    };
    assert_eq!(body.code, None);
    assert_eq!(tom.refused(close).await, 4105);
}
