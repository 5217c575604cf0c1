//! What only a file can suffer: failing writes, a full disk, lost power, a second process, damage.

mod faults;
mod files;
