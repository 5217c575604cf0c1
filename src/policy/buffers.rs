//! Memory for bodies that are read in whole: bounded in all and for each customer (LIM-40), and given back when they have left.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::connection::census::neighbourhood;
use crate::connection::request::Understood;
use crate::domain::LoginId;
use crate::refusal::Refusal;

/// The room there is.
#[derive(Debug)]
pub struct Buffers {
    max_bytes: usize,
    max_bytes_per_owner: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    bytes: usize,
    by_owner: HashMap<Owner, usize>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Owner {
    LoginId(LoginId),
    Address(IpAddr),
}

/// Room for one body.
#[derive(Debug)]
pub struct Room {
    buffers: Arc<Buffers>,
    owner: Owner,
    bytes: usize,
}

impl Buffers {
    /// `max_bytes` in all, of which one customer (or one address, where there is none) has at most `max_bytes_per_owner`.
    pub fn new(max_bytes: usize, max_bytes_per_owner: usize) -> Arc<Self> {
        Arc::new(Self { max_bytes, max_bytes_per_owner, taken: Mutex::default() })
    }

    /// Whether these are the bounds.
    pub fn are_bounded_by(&self, max_bytes: usize, max_bytes_per_owner: usize) -> bool {
        self.max_bytes == max_bytes && self.max_bytes_per_owner == max_bytes_per_owner
    }

    /// Room for the body of a request: as much as it announced, or as much as it may become.
    pub(super) fn room_for(self: &Arc<Self>, request: &Understood, max_body: usize) -> Result<Room, Refusal> {
        let announced = request.length.and_then(|length| usize::try_from(length).ok());
        let bytes = announced.unwrap_or(max_body).min(max_body);
        let standing = request.standing();
        let owner = match standing.customer() {
            Some(who) => Owner::LoginId(who.login_id().clone()),
            None => Owner::Address(neighbourhood(standing.visit().client())),
        };
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let own = taken.by_owner.get(&owner).copied().unwrap_or_default();
        if own + bytes > self.max_bytes_per_owner || taken.bytes + bytes > self.max_bytes {
            return Err(Refusal::InspectionBusy);
        }
        taken.bytes += bytes;
        taken.by_owner.insert(owner.clone(), own + bytes);
        Ok(Room { buffers: Arc::clone(self), owner, bytes })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut taken = self.buffers.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.bytes -= self.bytes;
        if let Some(own) = taken.by_owner.get_mut(&self.owner) {
            *own -= self.bytes;
            if *own == 0 {
                taken.by_owner.remove(&self.owner);
            }
        }
    }
}
