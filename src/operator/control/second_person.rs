//! Acts that let more money move, and need two people: one proposes, another one does the same, and it is done (LIM-28, OPS-14).
//!
//! People are told apart by the user ID that the kernel reports for the process that asks, never by the name that it gives.
//! Proposals are kept in memory: a gateway that ends forgets them, and nothing was done. Deliberately absent: a way to tell root
//! from anybody else, because root can become anybody.

use jiff::{SignedDuration, Timestamp};

use super::order::By;

/// How long a proposal waits for the second person.
const WAITS_FOR: SignedDuration = SignedDuration::from_hours(1);

/// How many may wait.
const MOST: usize = 100;

/// Who asks.
#[derive(Debug, Clone)]
pub(super) struct Person {
    user: Option<u32>,
    /// As the record names them.
    name: String,
}

impl Person {
    pub fn of(by: &By) -> Self {
        Self { user: by.user, name: by.operator.clone() }
    }
}

/// What was proposed and waits.
#[derive(Debug, Default)]
pub(super) struct Proposals(Vec<Proposal>);

#[derive(Debug)]
struct Proposal {
    /// What is to be done: the same words for the same act.
    act: String,
    user: u32,
    name: String,
    until: Timestamp,
}

/// What comes of somebody's asking.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ruling {
    /// It waits for somebody else until then.
    Proposed(Timestamp),
    /// Two have asked for it: it may be done. The first one's name.
    Agreed(String),
    /// Neither; why.
    Refused(String),
}

impl Proposals {
    /// Somebody asks for an act. What two have asked for is no proposal any more, whatever comes of it.
    pub fn ask(&mut self, act: &str, person: Person, now: Timestamp) -> Ruling {
        self.0.retain(|proposal| proposal.until > now);
        let Some(user) = person.user else {
            return Ruling::Refused("the kernel does not tell which user asks, and this needs two".into());
        };
        if let Some(at) = self.0.iter().position(|proposal| proposal.act == act) {
            if self.0[at].user == user {
                return Ruling::Refused(format!("uid {user} has proposed it: another user must ask for the same"));
            }
            return Ruling::Agreed(self.0.swap_remove(at).name);
        }
        if self.0.len() >= MOST {
            return Ruling::Refused(format!("{MOST} proposals wait already"));
        }
        let until = now.saturating_add(WAITS_FOR).unwrap_or(Timestamp::MAX);
        self.0.push(Proposal { act: act.to_owned(), user, name: person.name, until });
        Ruling::Proposed(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(user: u32) -> Person {
        Person { user: Some(user), name: format!("uid {user}") }
    }

    fn noon() -> Timestamp {
        "2026-11-02T03:00:00Z".parse().unwrap()
    }

    #[test]
    fn two_users_must_ask_for_the_same() {
        let mut proposals = Proposals::default();
        let until = noon() + WAITS_FOR;
        assert_eq!(proposals.ask("release 7", person(1000), noon()), Ruling::Proposed(until));
        assert_eq!(proposals.ask("release 8", person(1001), noon()), Ruling::Proposed(until), "another act");
        assert!(matches!(proposals.ask("release 7", person(1000), noon()), Ruling::Refused(_)), "the same user");
        let renamed = Person { name: "somebody else".into(), ..person(1000) };
        assert!(matches!(proposals.ask("release 7", renamed, noon()), Ruling::Refused(_)), "by another name");
        let nobody = Person { user: None, name: "nobody".into() };
        assert!(matches!(proposals.ask("release 7", nobody, noon()), Ruling::Refused(_)), "nobody knows whom");
        assert_eq!(proposals.ask("release 7", person(1001), noon()), Ruling::Agreed("uid 1000".into()));
        assert_eq!(proposals.ask("release 7", person(1001), noon()), Ruling::Proposed(until), "once agreed, used up");
    }

    #[test]
    fn a_proposal_does_not_wait_for_ever() {
        let mut proposals = Proposals::default();
        proposals.ask("accept", person(1000), noon());
        let late = noon() + WAITS_FOR;
        assert_eq!(proposals.ask("accept", person(1001), late), Ruling::Proposed(late + WAITS_FOR));
        assert_eq!(proposals.ask("accept", person(1000), late), Ruling::Agreed("uid 1001".into()));
    }

    #[test]
    fn only_so_many_wait_and_none_is_pushed_out() {
        let mut proposals = Proposals::default();
        for number in 0..MOST {
            let asked = proposals.ask(&number.to_string(), person(1000), noon());
            assert!(matches!(asked, Ruling::Proposed(_)));
        }
        assert!(matches!(proposals.ask("one more", person(1000), noon()), Ruling::Refused(_)));
        assert_eq!(proposals.ask("0", person(1001), noon()), Ruling::Agreed("uid 1000".into()));
        assert!(matches!(proposals.ask("one more", person(1000), noon()), Ruling::Proposed(_)));
    }
}
