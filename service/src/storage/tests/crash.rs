//! A crash at each point of a commit: afterwards the state is the one before the batch or after it, whichever
//! writes reached the disk.

use std::io;
use std::sync::{Arc, Mutex};

use ::redb::StorageBackend;

use super::*;
use crate::storage::redb::open_backend;

/// A step of a database on its file.
#[derive(Clone, Debug)]
enum Step {
    Write(u64, Vec<u8>),
    SetLen(u64),
    Sync,
}

/// A file in memory that remembers each step on it.
#[derive(Debug, Default)]
struct Disk {
    bytes: Vec<u8>,
    steps: Vec<Step>,
}

impl Disk {
    fn carry_out(bytes: &mut Vec<u8>, step: &Step) {
        match step {
            Step::Write(at, data) => {
                let at = usize::try_from(*at).unwrap();
                bytes[at..at + data.len()].copy_from_slice(data);
            }
            Step::SetLen(len) => bytes.resize(usize::try_from(*len).unwrap(), 0),
            Step::Sync => {}
        }
    }

    fn take_step(&mut self, step: Step) {
        Self::carry_out(&mut self.bytes, &step);
        self.steps.push(step);
    }
}

/// The file as the database sees it.
#[derive(Clone, Debug, Default)]
struct Recorded(Arc<Mutex<Disk>>);

impl StorageBackend for Recorded {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.0.lock().unwrap().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let offset = usize::try_from(offset).unwrap();
        let disk = self.0.lock().unwrap();
        let found = disk.bytes.get(offset..offset + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.0.lock().unwrap().take_step(Step::SetLen(len));
        Ok(())
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        self.0.lock().unwrap().take_step(Step::Sync);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.0
            .lock()
            .unwrap()
            .take_step(Step::Write(offset, data.to_vec()));
        Ok(())
    }
}

fn open(bytes: Vec<u8>) -> (RedbStorage, Recorded) {
    let file = Recorded::default();
    file.0.lock().unwrap().bytes = bytes;
    let storage = open_backend(file.clone()).unwrap();
    file.0.lock().unwrap().steps.clear();
    (storage, file)
}

/// The files that a crash after so many steps may leave: all that was written before the last flush, and of the
/// later writes everything, nothing, or some, as dice decide.
fn left_after(before: &[u8], steps: &[Step], dice: &mut u64) -> Vec<Vec<u8>> {
    let flushed = steps
        .iter()
        .rposition(|step| matches!(step, Step::Sync))
        .map_or(0, |at| at + 1);
    let mut base = before.to_vec();
    steps[..flushed]
        .iter()
        .for_each(|step| Disk::carry_out(&mut base, step));
    let mut files = Vec::new();
    for share in [0, 1, 2, 3] {
        let mut bytes = base.clone();
        for step in &steps[flushed..] {
            *dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let is_kept = match share {
                0 => false,
                1 => true,
                _ => *dice >> 40 & 1 == 0,
            };
            // A file's length is not undone, or later writes would have no place.
            if is_kept || matches!(step, Step::SetLen(_)) {
                Disk::carry_out(&mut bytes, step);
            }
        }
        files.push(bytes);
    }
    files
}

#[test]
fn a_crash_at_any_point_of_a_commit_leaves_the_state_before_it_or_after_it() {
    let mut dice = 7;
    let (mut storage, file) = open(Vec::new());
    let batches: [Vec<Write>; 4] = [
        vec![
            Write::PutConversation(app(), conversation(0, None)),
            Write::PutMember(app(), cid(0), member(1, 5)),
        ],
        (0..40)
            .map(|n| Write::PutMessage(app(), cid(0), message(i64::from(n), n, Some(9))))
            .collect(),
        vec![Write::PutConversation(app(), conversation(1, Some(3)))],
        vec![Write::DropConversation(app(), cid(0))],
    ];
    let mut points = 0;
    for batch in batches {
        let (before, bytes) = (picture(&storage), file.0.lock().unwrap().bytes.clone());
        file.0.lock().unwrap().steps.clear();
        now(storage.apply(batch)).unwrap();
        let after = picture(&storage);
        now(storage.commit()).unwrap();
        let steps = file.0.lock().unwrap().steps.clone();
        for point in 0..=steps.len() {
            for left in left_after(&bytes, &steps[..point], &mut dice) {
                let found = picture(&open(left).0);
                let is_whole = found == after || (point < steps.len() && found == before);
                assert!(is_whole, "after {point} of {} steps:\n{found}", steps.len());
                points += 1;
            }
        }
    }
    assert!(points > 50, "{points} points are no crash test");
}
