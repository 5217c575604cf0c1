//! What happens to the requests of a route: streamed untouched, or inspected because they may move money.

use std::time::Duration;

use http::StatusCode;

use super::body::{BodyRules, Charset};

/// What happens to a request.
#[derive(Debug, Clone)]
pub enum Treatment {
    /// It is passed on as it comes.
    Streamed {
        /// The longest body; without one the application decides.
        max_body: Option<u64>,
        /// What the application's answer says of it, where a rate limit asks.
        markers: Option<Box<Markers>>,
    },
    /// Its body is read in whole, and must have one meaning.
    Inspected(Box<InspectionRules>),
}

impl Treatment {
    /// How success and failure are told from each other.
    pub fn markers(&self) -> Option<&Markers> {
        match self {
            Self::Streamed { markers, .. } => markers.as_deref(),
            Self::Inspected(rules) => Some(&rules.markers),
        }
    }

    /// Whether bodies are read.
    pub const fn is_inspected(&self) -> bool {
        match self {
            Self::Streamed { .. } => false,
            Self::Inspected(_) => true,
        }
    }
}

/// How a route's requests are inspected.
#[derive(Debug, Clone)]
pub struct InspectionRules {
    /// What the body may be.
    pub rules: BodyRules,
    /// The longest body.
    pub max_body: usize,
    /// What its form may say of who logs in.
    pub login: Option<Login>,
    /// What the request means for the ledger.
    pub act: Act,
    /// What the application's answer says of it.
    pub markers: Markers,
}

/// Where a login form says who logs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The field.
    pub field: String,
    /// What may stand there.
    pub rule: LoginRule,
}

/// What the login form of a customer with a certificate may say of who logs in (BND-01).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginRule {
    /// Exactly the certificate's login ID.
    Verify,
    /// Nothing: the application takes it from the header.
    Forbid,
    /// The certificate's login ID, or nothing: then it is filled in.
    FillIn,
}

/// What a request means for the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Nothing; the body only had to tell the route, or to be bounded.
    Nothing,
    /// It brings an amount that another request will commit.
    Enter {
        /// Under which key it is kept.
        key: Key,
        /// At least how long the application remembers it.
        lifetime: Duration,
        /// How it is put together with what others bring.
        filling: Filling,
    },
    /// It moves money: the amount of its own fields, or what was entered under a key.
    Commit {
        /// Where the amount stands; `None`: in its own fields.
        entered: Option<(Key, Filling)>,
        /// How long what it says itself may stand in the form of a wizard that is filled by line, for whoever commits that;
        /// `None` where there is none with such fields.
        leaves: Option<Duration>,
        /// Whether the application executes all of it or nothing (LIM-31); known of an entered amount, which may be a sum.
        is_atomic: bool,
        /// Whether its form has a token that tells a repeated order from a new one (LIM-17).
        has_token: bool,
        /// Where the answer tells the number by which the order can be cancelled.
        number: Option<NumberInAnswer>,
    },
    /// It cancels an order, which frees what was counted for it (LIM-21).
    Cancel,
    /// It changes the customer's own limit.
    ChangeLimit,
}

/// How the screens of one order fill the form that the application keeps in its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filling {
    /// Each says all of it: there is one amount, or every line is in every form. Of several, the largest holds.
    Whole,
    /// Each says what it brings, and the rest stays: of each line, the largest holds.
    ByLine,
}

/// Under which key an amount is kept between two requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// The customer's: the largest amount that the login ID has entered (LIM-33).
    LoginId,
    /// Anybody's who names the transaction, in a field of the form.
    Transaction,
    /// Anybody's who knows the order: the one that a field of the form names (LIM-19).
    Order,
    /// The same, but the order's number stands only in the application's answer.
    AnsweredOrder(NumberInAnswer),
}

/// Where an answer tells the number of a new order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NumberInAnswer {
    /// A parameter of the query in `Location`.
    LocationParameter(String),
    /// The page's text between two pieces of markup, the first time they stand there.
    Between(String, String),
}

/// What an answer must be to mean something; everything that is given must hold (LIM-32).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    /// Its status.
    pub status: Option<StatusCode>,
    /// The path in its `Location`, in whole.
    pub location: Option<String>,
    /// Markup in its page. It holds a `<`: customers can write text, not markup.
    pub contains: Option<String>,
}

/// How success and failure are told from each other. Neither, or both, is unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Markers {
    /// What says that it was done.
    pub success: Option<Marker>,
    /// What says that it was not; any one suffices.
    pub failure: Vec<Marker>,
    /// The charset of the application's pages.
    pub charset: Charset,
    /// The longest page that is read; a longer one has no marker.
    pub max_page: usize,
}
