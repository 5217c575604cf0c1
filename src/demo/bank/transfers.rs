//! 振込: in one step, ten lines at once, by a wizard, by a file's form, by JSON, behind one dispatching servlet; and its
//! cancelling.
//!
//! Nothing here knows a ceiling: whatever arrives and can be read is executed.

use super::answer::Reply;
use super::desk::{Desk, Visit, page};
use super::digits::lenient_date;
use super::orders::{Draft, Failure, OrderClass, Signature};
use super::parameters::Parameters;
use super::sessions::random_name;
use super::{Forms, Lists, Receipts, Tokens, forms};
use crate::domain::JstDate;

/// The lines of the form with several.
pub(super) const LINES: u8 = 10;

const DONE: &str = "/ib/transfer/done.do";

impl Desk {
    /// Amount, payee and date in one request; also as multipart.
    pub(super) fn transfer_once(&mut self, visit: &Visit<'_>, by: &Signature) -> Result<Reply, Failure> {
        self.spend_token(visit)?;
        let draft = self.draft(&visit.parameters, "amount", "payee")?;
        let receipt = self.books.execute(by, &draft, OrderClass::Transfer)?;
        Ok(self.done(DONE, receipt))
    }

    /// Leads to the page that tells the order's number.
    pub(super) fn done(&self, page: &str, receipt: u64) -> Reply {
        Reply::Redirect(match self.switches.receipts {
            Receipts::OnThePage => page.to_owned(),
            Receipts::InTheAnswer => format!("{page}?id={receipt}"),
        })
    }

    /// The same without a screen: 200 in any case, the outcome in the body.
    pub(super) fn transfer_json(&mut self, parameters: &Parameters, by: &Signature) -> Reply {
        let executed = self
            .draft(parameters, "amount", "payee")
            .and_then(|draft| self.books.execute(by, &draft, OrderClass::Transfer));
        let json = match executed {
            Ok(receipt) => serde_json::json!({ "result": "ok", "receipt": receipt }),
            Err(failure) => serde_json::json!({ "result": "error", "code": "BTRE900", "message": failure.message() }),
        };
        Reply::Json(json.to_string())
    }

    /// `kingaku1` to `kingaku10`.
    pub(super) fn transfer_lines(&mut self, visit: &Visit<'_>, by: &Signature) -> Result<Reply, Failure> {
        self.spend_token(visit)?;
        self.execute_lines(visit, by)?;
        Ok(Reply::Redirect(DONE.to_owned()))
    }

    /// Executes the lines that are filled in, together or one after the other, as the switch says.
    pub(super) fn execute_lines(&mut self, visit: &Visit<'_>, by: &Signature) -> Result<(), Failure> {
        let form = self.form(visit);
        let lines = self.lines(&form);
        match self.switches.lists {
            // Each is read when its turn comes.
            Lists::LineByLine if lines.is_empty() => Err(Failure::AmountMissing),
            Lists::LineByLine => lines.into_iter().try_for_each(|draft| self.execute_all(&[draft?], by)),
            Lists::Atomic => self.execute_all(&lines.into_iter().collect::<Result<Vec<_>, _>>()?, by),
        }
    }

    /// The lines that are filled in, each as far as it can be read.
    fn lines(&self, parameters: &Parameters) -> Vec<Result<Draft, Failure>> {
        let filled = |line: &u8| parameters.filled(&format!("kingaku{line}")).is_some();
        let draft = |line| self.draft(parameters, &format!("kingaku{line}"), &format!("payee{line}"));
        (1..=LINES).filter(filled).map(draft).collect()
    }

    fn execute_all(&mut self, drafts: &[Draft], by: &Signature) -> Result<(), Failure> {
        match (self.switches.lists, drafts) {
            (_, []) => return Err(Failure::AmountMissing),
            (Lists::Atomic, drafts) => self.books.accepts(&by.login_id, drafts)?,
            (Lists::LineByLine, _) => {}
        }
        drafts.iter().try_for_each(|draft| self.books.execute(by, draft, OrderClass::Transfer).map(drop))
    }

    /// The wizard's first step: keeps what was entered in the session, one transfer or several lines, and shows it. Without
    /// an amount, the empty form.
    pub(super) fn enter(&mut self, visit: &Visit<'_>) -> Result<Reply, Failure> {
        let brings_lines = !self.lines(&visit.parameters).is_empty();
        if visit.parameters.first("amount").is_none() && !brings_lines {
            return Ok(page(forms::entry(&random_name())));
        }
        let drafts = self.drafts(visit)?;
        let session = self.sessions.open(&visit.session);
        session.enter(visit.parameters.filled("transaction"), drafts);
        self.confirm(visit)
    }

    /// The second: shows it again.
    pub(super) fn confirm(&mut self, visit: &Visit<'_>) -> Result<Reply, Failure> {
        self.fill_again(visit)?;
        let transaction = visit.parameters.filled("transaction");
        let session = self.sessions.open(&visit.session);
        let token = session.give_token();
        match session.entry(transaction) {
            [] => Err(Failure::NothingEntered),
            drafts => Ok(page(forms::confirm(drafts, transaction, &token))),
        }
    }

    /// The form that a request fills, and all that stands in it then.
    fn form(&mut self, visit: &Visit<'_>) -> Parameters {
        match self.switches.forms {
            Forms::FilledOnce | Forms::FilledAgain => visit.parameters.clone(),
            Forms::FilledFieldByField => {
                let session = self.sessions.open(&visit.session);
                session.fill(visit.parameters.filled("transaction"), &visit.parameters)
            }
        }
    }

    /// What a form says: one transfer, or several lines; both, where it is filled field by field.
    fn drafts(&mut self, visit: &Visit<'_>) -> Result<Vec<Draft>, Failure> {
        let form = self.form(visit);
        let single = form.filled("amount").map(|_| self.draft(&form, "amount", "payee"));
        match (single, self.switches.forms) {
            (Some(draft), Forms::FilledOnce | Forms::FilledAgain) => Ok(vec![draft?]),
            (single, _) => single.into_iter().chain(self.lines(&form)).collect(),
        }
    }

    /// What a later screen says of the amount, or of the lines, where the switch says that the form is filled again.
    fn fill_again(&mut self, visit: &Visit<'_>) -> Result<(), Failure> {
        if self.switches.forms == Forms::FilledOnce {
            return Ok(());
        }
        let drafts = self.drafts(visit)?;
        if !drafts.is_empty() {
            self.sessions.open(&visit.session).enter(visit.parameters.filled("transaction"), drafts);
        }
        Ok(())
    }

    /// The third carries no amount: executes what was entered under that number, or what was entered last. It stays
    /// entered, so that sending this twice executes twice.
    pub(super) fn execute_entered(&mut self, visit: &Visit<'_>, by: &Signature) -> Result<Reply, Failure> {
        self.spend_token(visit)?;
        self.fill_again(visit)?;
        let session = self.sessions.find(&visit.session);
        let drafts = session.map(|session| session.entry(visit.parameters.filled("transaction")).to_vec());
        let drafts = drafts.filter(|drafts| !drafts.is_empty()).ok_or(Failure::NothingEntered)?;
        self.execute_all(&drafts, by)?;
        Ok(Reply::Redirect(DONE.to_owned()))
    }

    /// Takes back what is meant for a later day.
    pub(super) fn cancel(&mut self, visit: &Visit<'_>, by: &Signature) -> Result<Reply, Failure> {
        self.books.cancel(by, number(visit)?)?;
        Ok(Reply::Redirect("/ib/transfer/cancelled.do".to_owned()))
    }

    /// One servlet for several actions, named by the first `method`.
    pub(super) fn dispatch(&mut self, visit: &Visit<'_>, by: &Signature) -> Result<Reply, Failure> {
        match visit.parameters.first("method") {
            Some("entry") => self.enter(visit),
            Some("confirm") => self.confirm(visit),
            Some("commit") if visit.parameters.filled("amount").is_some() => self.transfer_once(visit, by),
            Some("commit") => self.execute_entered(visit, by),
            Some(_) | None => Err(Failure::ActionUnknown),
        }
    }

    /// A transfer as the application reads it from the fields of those names.
    pub(super) fn draft(&self, parameters: &Parameters, amount: &str, payee: &str) -> Result<Draft, Failure> {
        let text = parameters.filled(amount).ok_or(Failure::AmountMissing)?;
        let amount = self.switches.amount_parser.parse(text).ok_or(Failure::AmountUnreadable)?;
        let payee = parameters.first(payee).unwrap_or_default().to_owned();
        Ok(Draft { amount, payee, designated: designated(parameters)? })
    }

    /// Refuses a form that was sent before, where the switch says so.
    pub(super) fn spend_token(&mut self, visit: &Visit<'_>) -> Result<(), Failure> {
        let token = visit.parameters.first("token").unwrap_or_default();
        match self.switches.tokens {
            Tokens::Ignored => Ok(()),
            Tokens::Once if self.sessions.open(&visit.session).take_token(token) => Ok(()),
            Tokens::Once => Err(Failure::TokenSpent),
        }
    }
}

/// The receipt number that a request names.
pub(super) fn number(visit: &Visit<'_>) -> Result<u64, Failure> {
    let id = visit.parameters.first("id").unwrap_or_default();
    super::AmountParser::Long.parse(id).and_then(|id| u64::try_from(id).ok()).ok_or(Failure::NumberUnknown)
}

fn designated(parameters: &Parameters) -> Result<Option<JstDate>, Failure> {
    let date = parameters.filled("date").map(|date| lenient_date(date).ok_or(Failure::DateUnreadable));
    date.transpose()
}
