//! How many are here, in all and per client address, so that nobody can fill the house alone.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Counts open connections of all workers.
#[derive(Debug, Default)]
pub struct Census {
    total: AtomicUsize,
    by_address: Mutex<HashMap<IpAddr, usize>>,
}

/// A place in the house, given up when dropped.
#[derive(Debug)]
pub struct Seat(Arc<Census>);

/// A place among the connections of one address.
#[derive(Debug)]
pub struct AddressSeat {
    census: Arc<Census>,
    address: IpAddr,
}

impl Census {
    /// A place, unless there are `limit` already.
    pub fn seat(self: &Arc<Self>, limit: usize) -> Option<Seat> {
        let taken = self.total.fetch_add(1, Ordering::AcqRel);
        let seat = Seat(Arc::clone(self));
        (taken < limit).then_some(seat)
    }

    /// A place for one more connection of `address` (IPv6: of its /64), unless it has `limit` already.
    pub fn seat_for(self: &Arc<Self>, address: IpAddr, limit: usize) -> Option<AddressSeat> {
        let address = neighbourhood(address);
        let mut by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let count = by_address.entry(address).or_default();
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(AddressSeat { census: Arc::clone(self), address })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.total.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Drop for AddressSeat {
    fn drop(&mut self) {
        let mut by_address = self.census.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&self.address);
            }
        }
    }
}

/// One household has one IPv4 address or one IPv6 /64: what stands for an address where addresses are counted.
pub fn neighbourhood(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6(Ipv6Addr::from(u128::from(v6) & (u128::MAX << 64))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_neighbourhood_shares_its_places_and_gives_them_back() {
        let census = Arc::new(Census::default());
        let first = census.seat_for("2001:db8::1".parse().unwrap(), 1);
        assert!(first.is_some());
        assert!(census.seat_for("2001:db8::ffff".parse().unwrap(), 1).is_none());
        assert!(census.seat_for("2001:db8:0:1::1".parse().unwrap(), 1).is_some());
        drop(first);
        assert!(census.seat_for("2001:db8::2".parse().unwrap(), 1).is_some());
        let seat = census.seat(1);
        assert!(seat.is_some() && census.seat(1).is_none());
        drop(seat);
        assert!(census.seat(1).is_some());
    }
}
