//! Strikes the world with the faults of the plan.

use std::time::Duration;

use sampan::sync::link::LinkInput;
use sampan::wire::{CloseCode, Command, Envelope};

use crate::devices::device::Backup;
use crate::faults::kinds::Fault;
use crate::network::SlowDisk;
use crate::service::Broken;
use crate::world::power::OFF;
use crate::world::{Happening, World};

impl World {
    /// Something goes wrong.
    pub(crate) fn strike(&mut self, number: usize) -> Result<(), Broken> {
        let Some(fault) = self.plan.faults.get(number).map(|at| at.what) else {
            return Ok(());
        };
        let bytes = number.to_le_bytes();
        self.record
            .trace
            .note(self.now, "fault", number, &bytes, || format!("{fault:?}"));
        self.record.counts.faults += 1;
        match fault {
            Fault::Break { device } => {
                for id in self.network.all_of(self.engine_of(device)) {
                    self.close_down(id, None);
                    self.lose(id)?;
                }
            }
            Fault::Close { device, code } => {
                for id in self.network.all_of(self.engine_of(device)) {
                    self.close_down(id, Some(CloseCode(code)));
                    self.lose(id)?;
                }
            }
            Fault::HalfOpen { device } => self.deafen(device),
            Fault::Split { device, lasting } => {
                self.deafen(device);
                let until = self.now + lasting;
                self.weather(device, |weather| weather.split_until = until);
            }
            Fault::Kick { device } => self.kick(device)?,
            Fault::GoAway { device } => {
                for id in self.network.all_of(self.engine_of(device)) {
                    self.send_down(id, Envelope::new(Command::Goaway));
                }
            }
            Fault::Hint { device, hint } => {
                let engine = self.engine_of(device);
                self.with_engine(engine, |it, now| it.link(now, LinkInput::Network(hint)))?;
            }
            Fault::Router { trouble, lasting } => {
                self.network.router_trouble = Some((trouble, self.now + lasting));
            }
            Fault::RefuseHandshakes { lasting } => self.server.refuse_until = self.now + lasting,
            Fault::ServiceCrash { lasting } => self.crash_service(lasting),
            Fault::ServiceCrashAtCommit { part, lasting } => {
                self.server.crash_at_commit = Some((part, lasting));
            }
            Fault::ServiceDiskFull => self.server.disk_full = true,
            Fault::ServiceClockJump { seconds } => self.server.skew += i64::from(seconds),
            Fault::Storage { trouble, lasting } => {
                self.files.trouble = Some((trouble, self.now + lasting));
            }
            other => return self.strike_device(other),
        }
        Ok(())
    }

    /// Faults of a device's line, disk, clock and power.
    fn strike_device(&mut self, fault: Fault) -> Result<(), Broken> {
        let now = self.now;
        match fault {
            Fault::Lag {
                device,
                lag,
                lasting,
            } => self.weather(device, |weather| {
                weather.lag = lag;
                weather.lag_until = now + lasting;
            }),
            Fault::Reorder { device, lasting } => {
                self.weather(device, |weather| weather.reorder_until = now + lasting);
            }
            Fault::Duplicate { device, lasting } => {
                self.weather(device, |weather| weather.duplicate_until = now + lasting);
            }
            Fault::Ignore { device, lasting } => {
                self.weather(device, |weather| weather.ignore_until = now + lasting);
            }
            Fault::Mute { device, lasting } => {
                self.weather(device, |weather| weather.mute_until = now + lasting);
            }
            Fault::Refuse {
                device,
                code,
                lasting,
            } => self.weather(device, |weather| {
                weather.refuse = code;
                weather.refuse_until = now + lasting;
            }),
            Fault::RefuseSignIn {
                device,
                code,
                lasting,
            } => self.weather(device, |weather| {
                weather.refuse_sign_in = code;
                weather.refuse_sign_in_until = now + lasting;
            }),
            Fault::ForgetToken { device } => {
                self.weather(device, |weather| weather.forget_token = true);
            }
            Fault::SlowDisk {
                device,
                pause,
                lasting,
            } => self.weather(device, |weather| {
                let until = now + lasting;
                weather.slow_disk = SlowDisk { pause, until };
            }),
            Fault::Crash { device } => {
                let engine = self.engine_of(device);
                self.cut_power(engine)?;
                self.plan_for(now + OFF, Happening::Boot(engine));
            }
            Fault::CrashAt {
                device,
                moment,
                after,
            } => {
                let engine = self.engine_of(device);
                if let Some(it) = self.engines.get_mut(engine) {
                    it.crash_at = Some((moment, after));
                }
            }
            Fault::CrashAtWrite { device, after } => {
                let engine = self.engine_of(device);
                if let Some(it) = self.engines.get_mut(engine) {
                    it.crash_on_failure = true;
                }
                self.break_disk(device, after);
            }
            Fault::DiskFull {
                device,
                after,
                lasting,
            } => {
                self.break_disk(device, after);
                self.plan_for(now + lasting, Happening::MendDisk(device));
            }
            Fault::Backup { device } => {
                let place = self.record.ledger.place();
                if let Some(it) = self.devices.get_mut(device) {
                    it.backup = Some(Backup {
                        disk: it.disk.duplicate(),
                        left: it.inbox.all(),
                        spool: it.spool.clone(),
                        place,
                    });
                }
            }
            Fault::Restore { device } => self.restore(device)?,
            Fault::ClockJump { device, seconds } => {
                let engine = self.engine_of(device);
                if let Some(it) = self.engines.get_mut(engine) {
                    it.skew += seconds;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn weather(&mut self, device: usize, change: impl FnOnce(&mut crate::network::Weather)) {
        let engine = self.engine_of(device);
        if let Some(weather) = self.network.weather.get_mut(engine) {
            change(weather);
        }
    }

    fn break_disk(&self, device: usize, after: u64) {
        if let Some(device) = self.devices.get(device) {
            device.break_disk(Some(after));
        }
    }

    fn deafen(&mut self, device: usize) {
        let engine = self.engine_of(device);
        let sockets = self.network.sockets.values_mut();
        for socket in sockets.filter(|socket| socket.engine == engine) {
            socket.deaf = true;
        }
    }

    pub(crate) fn crash_service(&mut self, lasting: Duration) {
        if !self.server.is_up() {
            return;
        }
        self.server.stop();
        self.network.others.clear();
        let sockets: Vec<_> = self.network.sockets.keys().copied().collect();
        for id in sockets {
            self.close_down(id, None);
            self.network.sockets.remove(&id);
        }
        self.plan_for(self.now + lasting, Happening::ServiceUp);
    }

    /// The device's files become those of the copy. Its promises since then are lost.
    fn restore(&mut self, device: usize) -> Result<(), Broken> {
        let Some(copy) = self.devices.get(device).and_then(|it| it.backup.clone()) else {
            return Ok(());
        };
        let engine = self.engine_of(device);
        self.cut_power(engine)?;
        if let Some(it) = self.devices.get_mut(device) {
            it.disk = copy.disk.duplicate();
            it.inbox.replace(copy.left);
            it.spool = copy.spool.of_backup();
            it.restored = true;
            it.forget_acknowledged();
        }
        self.record.ledger.overwritten(device, copy.place);
        self.plan_for(self.now + OFF, Happening::Boot(engine));
        Ok(())
    }
}
