//! The words of the business, each a type with one parser.
//!
//! Whoever holds one of these values holds something that was checked once, at the edge.
//! Nothing here knows sockets, files or HTTP.

pub mod certificate;
pub mod clock;
pub mod contract_id;
pub mod host;
pub mod jst_date;
pub mod login_id;
pub mod request_id;
pub mod role;
pub mod yen;

pub use certificate::{Fingerprint, Serial};
pub use clock::{Clock, ManualClock, SystemClock};
pub use contract_id::ContractId;
pub use host::HostName;
pub use jst_date::JstDate;
pub use login_id::LoginId;
pub use request_id::{RequestId, TransferId};
pub use role::Role;
pub use yen::Yen;
