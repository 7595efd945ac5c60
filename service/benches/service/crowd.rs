//! Messages to a conversation of very many members who are away.

use std::time::Instant;

use sampan::wire::generated::{ConvCommand, DirectCommand};
use sampan::wire::{Command, Op};

use crate::common::{Outcome, Server, connect, sign_in, to_f64};
use crate::{TEXT, ask, next};

/// Members who are away.
pub(crate) const AWAY: usize = 5_000;

/// Messages that wait for their acknowledgement at a time.
const AHEAD: usize = 200;

/// The measure of messages to all of them.
pub(crate) struct Sends {
    /// Messages that are acknowledged in a second.
    pub(crate) rate: f64,
    /// Time of the processor that the service takes for a message, in microseconds; other work on the machine does not
    /// change it much.
    pub(crate) processor_us: f64,
}

/// Sends messages of one client to all of them.
pub(crate) async fn sends(service: &Server, messages: usize) -> Outcome<Sends> {
    let mut sender = connect(service.address).await?;
    sign_in(&mut sender, "speaker").await?;
    let body = ConvCommand {
        m: vec!["speaker".to_owned()],
        ..ConvCommand::default()
    };
    ask(&mut sender, Command::conv(Op::Start, body)).await?;
    let cid = loop {
        if let Command::Conv {
            op: Op::Started,
            body,
        } = next(&mut sender).await?
        {
            break body.cid.unwrap_or_default();
        }
    };
    let names: Vec<String> = (0..AWAY).map(|number| format!("away{number}")).collect();
    // A command is 5 KiB at most: members come in some at a time.
    for some in names.chunks(100) {
        let body = ConvCommand {
            cid: Some(cid.clone()),
            m: some.to_vec(),
            ..ConvCommand::default()
        };
        ask(&mut sender, Command::conv(Op::Add, body)).await?;
        loop {
            match next(&mut sender).await? {
                Command::Conv { op: Op::Added, .. } => break,
                Command::Error(error) => return Err(format!("not added: {}", error.code).into()),
                _ => {}
            }
        }
    }
    let ticks = service.processor_ticks()?;
    let began = Instant::now();
    let (mut sent, mut acknowledged) = (0, 0);
    while acknowledged < messages {
        while sent < messages && sent < acknowledged + AHEAD {
            let body = DirectCommand {
                cid: Some(cid.clone()),
                msg: Some("x".repeat(TEXT)),
                dt: Some(format!("{sent:022}")),
                ..DirectCommand::default()
            };
            ask(&mut sender, Command::direct(body)).await?;
            sent += 1;
        }
        match next(&mut sender).await? {
            Command::Ack(ack) if ack.code.is_some() => {
                return Err(format!("refused: {:?}", ack.code).into());
            }
            Command::Ack(_) => acknowledged += 1,
            _ => {}
        }
    }
    let took = began.elapsed().as_secs_f64();
    let ticks = service.processor_ticks()?.saturating_sub(ticks);
    let count = to_f64(messages as u64);
    Ok(Sends {
        rate: count / took,
        // The kernel reports processor time in hundredths of a second.
        processor_us: to_f64(ticks) * 10_000.0 / count,
    })
}
