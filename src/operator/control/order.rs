//! What an operator asks for in a body: JSON with known names, each of the right type, and who asks, and why.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{MAX_LIMITS, Refused};
use crate::domain::{ContractId, JstDate, LoginId, Serial, Yen};
use crate::store::blocks::Subject;
use crate::store::ledger::Verdict;

/// Audit records cut longer texts, and a reason must stand there whole.
const MAX_REASON_BYTES: usize = 1000;
const MAX_NAME_BYTES: usize = 100;

/// Who acts, and why. Whoever may open the socket may say any name; the user of the process that asks is noted beside it.
#[derive(Debug)]
pub(super) struct By {
    pub operator: String,
    pub reason: String,
    /// The user ID of the process that asks, as the kernel tells it; no body can.
    pub user: Option<u32>,
}

/// How a transfer ended: `{"outcome": "committed" | "released", "reason", "operator"}`
#[derive(Debug)]
pub(super) struct Reconcile {
    pub verdict: Verdict,
    pub by: By,
}

/// `{"yen": 1000, "day": "2026-11-02" | null, "login_id": "hanakodt" | null, "reason", "operator"}`; `login_id` may be left out
#[derive(Debug)]
pub(super) struct Add {
    pub amount: Yen,
    pub day: Option<JstDate>,
    pub login_id: Option<LoginId>,
    pub by: By,
}

/// `{"yen": 1000 | null, "reason", "operator"}`
#[derive(Debug)]
pub(super) struct OwnLimit {
    pub own: Option<Yen>,
    pub by: By,
}

/// `{"limits": [{"contract": "hanakodt", "yen": 1000 | null}, …], "reason", "operator"}`
#[derive(Debug)]
pub(super) struct OwnLimits {
    /// Each contract once.
    pub limits: Vec<(ContractId, Option<Yen>)>,
    pub by: By,
}

/// `{"serial": "0a1b" | "login_id": "hanakodt" | "contract": "yamada", "reason", "operator"}`
#[derive(Debug)]
pub(super) struct OnSubject {
    pub subject: Subject,
    pub by: By,
}

impl OnSubject {
    pub fn read(body: &[u8]) -> Result<Self, Refused> {
        let mut fields = Fields::read(body)?;
        let named = ["serial", "login_id", "contract"].map(|name| fields.0.remove(name));
        let subject = match &named.each_ref().map(|name| name.as_ref().and_then(Value::as_str)) {
            [Some(serial), None, None] => Serial::from_hex(serial).map(Subject::Serial),
            [None, Some(login_id), None] => LoginId::parse(login_id).map(Subject::LoginId),
            [None, None, Some(contract)] => ContractId::parse(contract).map(Subject::Contract),
            _ => None,
        };
        let subject = subject.filter(|_| named.iter().flatten().count() == 1);
        let subject = subject.ok_or_else(|| {
            malformed("either \"serial\", in hexadecimal, or \"login_id\", or \"contract\" is needed")
        })?;
        Ok(Self { subject, by: fields.by()? })
    }
}

impl Reconcile {
    pub fn read(body: &[u8]) -> Result<Self, Refused> {
        let mut fields = Fields::read(body)?;
        let verdict = match fields.take("outcome")?.as_str() {
            Some("committed") => Verdict::Committed,
            Some("released") => Verdict::Released,
            Some(_) | None => return Err(malformed("\"outcome\" is \"committed\" or \"released\"")),
        };
        Ok(Self { verdict, by: fields.by()? })
    }
}

impl Add {
    pub fn read(body: &[u8]) -> Result<Self, Refused> {
        let mut fields = Fields::read(body)?;
        let amount = fields.take("yen")?.as_u64().and_then(Yen::new).filter(|amount| *amount > Yen::ZERO);
        let amount = amount.ok_or_else(|| malformed("\"yen\" is a whole number above 0 that can be counted"))?;
        let day = match fields.take("day")? {
            Value::Null => None,
            day => Some(
                day.as_str()
                    .and_then(JstDate::parse)
                    .ok_or_else(|| malformed("\"day\" is a day such as 2026-11-02, or null"))?,
            ),
        };
        let login_id = fields.optional_text("login_id")?.map(|login_id| {
            LoginId::parse(&login_id).ok_or_else(|| malformed("\"login_id\" is 1 to 64 characters of visible ASCII"))
        });
        Ok(Self { amount, day, login_id: login_id.transpose()?, by: fields.by()? })
    }
}

impl OwnLimit {
    pub fn read(body: &[u8]) -> Result<Self, Refused> {
        let mut fields = Fields::read(body)?;
        Ok(Self { own: fields.own_limit()?, by: fields.by()? })
    }
}

impl OwnLimits {
    pub fn read(body: &[u8]) -> Result<Self, Refused> {
        let mut fields = Fields::read(body)?;
        let Value::Array(limits) = fields.take("limits")? else { return Err(malformed("\"limits\" is a list")) };
        if limits.is_empty() || limits.len() > MAX_LIMITS {
            return Err(Refused::Malformed(format!("\"limits\" are {}, and may be 1 to {MAX_LIMITS}", limits.len())));
        }
        let (by, mut known) = (fields.by()?, HashSet::new());
        let limits = limits.into_iter().enumerate().map(|(place, limit)| {
            let wrong = |why: String| Refused::Malformed(format!("\"limits\", number {}: {why}", place + 1));
            let limit = one_limit(limit).map_err(|refused| wrong(refused.to_string()))?;
            if known.insert(limit.0.clone()) {
                Ok(limit)
            } else {
                Err(wrong(format!("{} stands there twice", limit.0)))
            }
        });
        Ok(Self { limits: limits.collect::<Result<_, _>>()?, by })
    }
}

fn one_limit(limit: Value) -> Result<(ContractId, Option<Yen>), Refused> {
    let Value::Object(fields) = limit else { return Err(malformed("that is no JSON object")) };
    let mut fields = Fields(fields);
    let contract = fields.take("contract")?.as_str().and_then(ContractId::parse);
    let contract = contract.ok_or_else(|| malformed("\"contract\" is no contract's name"))?;
    let own = fields.own_limit()?;
    fields.end().map(|()| (contract, own))
}

impl By {
    /// `{"reason", "operator"}`
    pub fn read(body: &[u8]) -> Result<Self, Refused> {
        Fields::read(body)?.by()
    }

    /// The same from a query, where the body is a file.
    pub fn of(operator: Option<String>, reason: Option<String>) -> Result<Self, Refused> {
        let given = |text: Option<String>, name| {
            text.ok_or_else(|| Refused::Malformed(format!("the parameter {name:?} is missing")))
        };
        let operator = name(&given(operator, "operator")?)?;
        let reason = line(&given(reason, "reason")?, "reason", MAX_REASON_BYTES)?;
        Ok(Self { operator, reason, user: None })
    }
}

/// A name that may stand in the record, as it is given in a query.
pub(super) fn name(text: &str) -> Result<String, Refused> {
    line(text, "operator", MAX_NAME_BYTES)
}

/// The fields that nobody has asked for yet.
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    pub fn read(body: &[u8]) -> Result<Self, Refused> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) => Err(malformed("the body is no JSON object")),
            Err(error) => Err(Refused::Malformed(format!("the body is no JSON: {error}"))),
        }
    }

    fn take(&mut self, name: &str) -> Result<Value, Refused> {
        self.0.remove(name).ok_or_else(|| Refused::Malformed(format!("{name:?} is missing")))
    }

    /// A text that must be there.
    pub fn text(&mut self, name: &str) -> Result<String, Refused> {
        match self.take(name)? {
            Value::String(text) => Ok(text),
            _ => Err(Refused::Malformed(format!("{name:?} is a text"))),
        }
    }

    /// A text, or `null`, or nothing.
    pub fn optional_text(&mut self, name: &str) -> Result<Option<String>, Refused> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Refused::Malformed(format!("{name:?} is a text, or null"))),
        }
    }

    /// Whether something is so; it is not where nothing is said.
    pub fn flag(&mut self, name: &str) -> Result<bool, Refused> {
        match self.0.remove(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(_) => Err(Refused::Malformed(format!("{name:?} is true or false"))),
        }
    }

    /// The last ones.
    pub fn by(mut self) -> Result<By, Refused> {
        let mut text = |name: &'static str, most| {
            let value = self.take(name)?;
            let text = value.as_str().ok_or_else(|| Refused::Malformed(format!("{name:?} is a text")))?;
            line(text, name, most)
        };
        let (operator, reason) = (text("operator", MAX_NAME_BYTES)?, text("reason", MAX_REASON_BYTES)?);
        self.end().map(|()| By { operator, reason, user: None })
    }

    /// `null` is no limit; to leave it out is a mistake.
    fn own_limit(&mut self) -> Result<Option<Yen>, Refused> {
        match self.take("yen")? {
            Value::Null => Ok(None),
            yen => {
                let yen = yen.as_u64().and_then(Yen::new);
                yen.map(Some).ok_or_else(|| malformed("\"yen\" is a whole number that can be counted, or null"))
            }
        }
    }

    /// No other field is known.
    fn end(self) -> Result<(), Refused> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(unknown) => Err(Refused::Malformed(format!("{unknown:?} is not known"))),
        }
    }
}

/// A text of one line that says something.
fn line(text: &str, name: &str, most: usize) -> Result<String, Refused> {
    let text = text.trim();
    if text.is_empty() || text.len() > most || text.contains(char::is_control) {
        return Err(Refused::Malformed(format!("{name:?} is one line of 1 to {most} bytes")));
    }
    Ok(text.to_owned())
}

fn malformed(text: &str) -> Refused {
    Refused::Malformed(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_understood_is_all_there_is() {
        let order =
            Reconcile::read(br#"{"outcome":"released","reason":" asked the bank ","operator":"hana"}"#).unwrap();
        assert_eq!((order.verdict, order.by.reason.as_str()), (Verdict::Released, "asked the bank"));
        let order = OwnLimit::read(br#"{"yen":null,"reason":"r","operator":"o"}"#).unwrap();
        assert_eq!(order.own, None);
        let order = Add::read(br#"{"yen":7,"day":"2026-11-02","reason":"r","operator":"o"}"#).unwrap();
        assert_eq!((order.amount.get(), order.day), (7, JstDate::parse("2026-11-02")));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for bad in [
            "",
            "[]",
            "{",
            r#"{"outcome":"released","reason":"r"}"#,
            r#"{"outcome":"released","reason":"","operator":"o"}"#,
            r#"{"outcome":"released","reason":"two\nlines","operator":"o"}"#,
            r#"{"outcome":"unknown","reason":"r","operator":"o"}"#,
            r#"{"outcome":"released","reason":"r","operator":"o","amount":1}"#,
            r#"{"outcome":"released","reason":1,"operator":"o"}"#,
        ] {
            assert!(Reconcile::read(bad.as_bytes()).is_err(), "{bad}");
        }
        let long = format!(r#"{{"reason":"{}","operator":"o"}}"#, "r".repeat(MAX_REASON_BYTES + 1));
        assert!(By::read(long.as_bytes()).is_err());
        for bad in ["-1", "1.5", "\"1\"", "9007199254740992", "1e3"] {
            let body = format!(r#"{{"yen":{bad},"reason":"r","operator":"o"}}"#);
            assert!(OwnLimit::read(body.as_bytes()).is_err(), "{bad}");
        }
        for bad in ["0,\"day\":null", "-1,\"day\":null", "1,\"day\":\"today\"", "1,\"day\":7", "1"] {
            let body = format!(r#"{{"yen":{bad},"reason":"r","operator":"o"}}"#);
            assert!(Add::read(body.as_bytes()).is_err(), "{bad}");
        }
        assert!(OwnLimit::read(br#"{"reason":"r","operator":"o"}"#).is_err(), "to forget a limit is to say null");
    }

    #[test]
    fn a_block_names_one_subject() {
        let read = |what: &str| OnSubject::read(format!(r#"{{{what}"reason":"r","operator":"o"}}"#).as_bytes());
        assert_eq!(read(r#""serial":"0A:1b","#).unwrap().subject.to_string(), "serial:0a1b");
        assert_eq!(read(r#""login_id":"Hana~1","#).unwrap().subject.to_string(), "login_id:Hana~1");
        assert_eq!(read(r#""contract":"yamada","#).unwrap().subject.to_string(), "contract:yamada");
        for bad in ["", r#""serial":"0","#, r#""serial":10,"#, r#""login_id":"a b","#, r#""company":"yamada","#] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!(read(r#""serial":"01","login_id":"hanakodt","#).is_err());
        assert!(read(r#""contract":"yamada","login_id":null,"#).is_err());
    }

    #[test]
    fn each_contract_of_a_list_has_one_limit() {
        let read =
            |limits: &str| OwnLimits::read(format!(r#"{{"limits":{limits},"reason":"r","operator":"o"}}"#).as_bytes());
        let order = read(r#"[{"contract":"hanakodt","yen":7},{"contract":"a,\"b","yen":null}]"#).unwrap();
        let told: Vec<_> = order.limits.iter().map(|(contract, own)| (contract.as_str(), own.map(Yen::get))).collect();
        assert_eq!(told, [("hanakodt", Some(7)), ("a,\"b", None)]);
        let good = r#"{"contract":"hanakodt","yen":7}"#;
        for bad in [
            "[]".to_owned(),
            "{}".to_owned(),
            "null".to_owned(),
            format!("[{good},7]"),
            format!("[{good},{good}]"),
            format!(r#"[{good},{{"contract":"hanakodt","yen":8}}]"#),
            format!(r#"[{good},{{"contract":"x"}}]"#),
            format!(r#"[{good},{{"yen":1}}]"#),
            format!(r#"[{good},{{"contract":"a b","yen":1}}]"#),
            format!(r#"[{good},{{"contract":"x","yen":-1}}]"#),
            format!(r#"[{good},{{"contract":"x","yen":1,"day":null}}]"#),
        ] {
            let refused = read(&bad).expect_err(&bad).to_string();
            assert_eq!(refused.contains("number 2: "), bad.contains(good), "{bad}: {refused}");
        }
    }
}
