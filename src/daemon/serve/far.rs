//! Owns: the part of the daemon's loop that has to do with executors.
//! Never: what is said to hosts (see `executing`).

use log::warn;

use super::Daemon;
use crate::daemon::executing::Executing;
use crate::daemon::random_id;
use crate::daemon::turn::FarTurn;
use crate::domain::Timestamp;
use crate::error::describe;
use crate::executor::StoreToken;
use crate::keeper::protocol::{FromKeeper, ToKeeper};
use crate::store::{Act, MetaKey, Store, StoreError, StoreResult};

impl Daemon<'_> {
    /// Takes over the runs that hosts of executors have.
    pub(super) fn adopt_far_runs(&mut self) -> StoreResult<()> {
        let now = self.clock.now();
        let token = store_token(&mut self.store, now)?;
        let log = self.log();
        let mut executing =
            Executing::new(token, &self.settings.dir, (log, self.results.clone()), now.as_micros());
        self.store.read(|reader| executing.adopt(reader, now))?;
        self.executing = Some(executing);
        Ok(())
    }

    /// Returns whether the keeper can run the commands that speak to hosts.
    pub(super) fn can_ask_hosts(&self) -> bool {
        self.keeper.keeper().is_some_and(|keeper| keeper.knows_requirements(self.is_sealed()))
    }

    /// Sends what is due to hosts.
    pub(super) fn ask_hosts(&mut self) {
        let now = (self.clock.monotonic(), self.clock.now());
        let can_ask = self.can_ask_hosts();
        let Some(executing) = &mut self.executing else { return };
        if can_ask && executing.next_wake().is_some_and(|at| at <= now.0) {
            let orders = executing.orders(now.0, now.1);
            self.send(&orders);
        }
        self.heed_hosts();
    }

    /// Hears of the commands that speak to hosts.
    pub(super) fn hear_hosts(&mut self, reports: &[FromKeeper]) {
        let now = (self.clock.monotonic(), self.clock.now());
        if let Some(executing) = &mut self.executing {
            executing.hear(reports, now);
        }
        self.heed_hosts();
    }

    /// Takes a turn soon if hosts have news.
    fn heed_hosts(&mut self) {
        if self.executing.as_ref().is_some_and(|executing| !executing.reports().is_empty()) {
            self.pacer.demand_turn();
        }
    }

    /// Sends orders to the keeper, or to the hosts that have their runs.
    pub(super) fn pass_on(&mut self, mut orders: Vec<ToKeeper>) {
        let now = self.clock.now();
        if let Some(executing) = &mut self.executing {
            orders.retain(|order| !executing.take_order(order, now));
        }
        self.send(&orders);
    }

    /// Takes over what a committed turn has for hosts.
    pub(super) fn far_committed(&mut self, turn: FarTurn) {
        let now = self.clock.now();
        if let Some(executing) = &mut self.executing {
            executing.forget_reports();
            executing.committed(turn, now);
        }
        self.heed_hosts();
    }
}

/// Returns the number by which hosts tell the runs of this store from those of others.
fn store_token(store: &mut Store, now: Timestamp) -> StoreResult<StoreToken> {
    let known = store.read(|reader| reader.meta(MetaKey::Token))?;
    if let Some(token) = known.and_then(|text| text.parse().ok()) {
        return Ok(token);
    }
    let random = random_id().unwrap_or_else(|error| {
        warn!("there are no random numbers: {}", describe(&error));
        now.as_micros()
    });
    let token = StoreToken(random.cast_unsigned());
    store.write(Act::of_daemon(now), |writer| {
        writer.exchange_meta(MetaKey::Token, &token.to_string())?;
        Ok::<_, StoreError>(())
    })?;
    Ok(token)
}
