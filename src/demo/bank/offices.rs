//! What is not an ordinary transfer: request and approval, files and their conversion, the customer's own limits.

use encoding_rs::SHIFT_JIS;

use super::Forms;
use super::answer::Reply;
use super::desk::{Desk, Visit};
use super::orders::{Draft, Failure, OrderClass, Signature};
use super::transfers::number;

/// The customer's accounts, each with a limit of its own.
pub(super) const ACCOUNTS: [&str; 3] = ["1", "2", "3"];

/// A data record of the bankers' association's file format: 120 bytes that begin with 2, the amount in ten of them.
const RECORD_BYTES: usize = 120;
const RECORD_AMOUNT: std::ops::Range<usize> = 80..90;
const RECORD_PAYEE: std::ops::Range<usize> = 50..80;

impl Desk {
    /// The first of two IDs asks.
    pub(super) fn propose(&mut self, visit: &Visit<'_>, by: &Signature) -> Result<Reply, Failure> {
        let draft = self.draft(&visit.parameters, "amount", "payee")?;
        let number = self.books.propose(by, draft);
        Ok(Reply::Redirect(format!("/ib/approval/requested.do?id={number}")))
    }

    /// The second approves; the request names the number alone, unless the switch says that its amount is taken again.
    pub(super) fn approve(&mut self, visit: &Visit<'_>, by: &Signature) -> Result<Reply, Failure> {
        self.spend_token(visit)?;
        let again = match self.switches.forms {
            Forms::FilledAgain | Forms::FilledFieldByField if visit.parameters.filled("amount").is_some() => {
                Some(self.draft(&visit.parameters, "amount", "payee")?.amount)
            }
            Forms::FilledOnce | Forms::FilledAgain | Forms::FilledFieldByField => None,
        };
        let receipt = self.books.approve(by, number(visit)?, again)?;
        Ok(self.done("/ib/approval/done.do", receipt))
    }

    /// Executes a file of transfers or of wages, all of its lines or none.
    pub(super) fn upload(&mut self, path: &str, visit: &Visit<'_>, by: &Signature) -> Result<Reply, Failure> {
        let file = visit.parameters.file().ok_or(Failure::FileMissing)?;
        let lines = self.file_lines(file)?;
        let (class, done) = match path {
            "/ib/payroll/upload.do" => (OrderClass::Payroll, "/ib/payroll/done.do"),
            _ => (OrderClass::Bulk, "/ib/bulk/done.do"),
        };
        self.books.execute_file(by, &lines, class)?;
        Ok(Reply::Redirect(done.to_owned()))
    }

    /// Lines of `payee,amount`, or records of the file format.
    fn file_lines(&self, file: &[u8]) -> Result<Vec<Draft>, Failure> {
        // A record may end in blanks that belong to it.
        let lines = file.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let records = lines.filter(|line| !line.is_empty());
        let drafts = records.filter_map(|line| match line {
            [b'2', ..] if line.len() == RECORD_BYTES => Some((&line[RECORD_PAYEE], &line[RECORD_AMOUNT])),
            // Header, trailer and end of the format.
            [b'1' | b'8' | b'9', ..] if line.len() <= RECORD_BYTES && !line.contains(&b',') => None,
            _ => {
                let comma = line.iter().rposition(|byte| *byte == b',');
                Some(comma.map_or((line, &[][..]), |at| (&line[..at], &line[at + 1..])))
            }
        });
        let drafts = drafts.map(|(payee, amount)| {
            let amount = SHIFT_JIS.decode_without_bom_handling(amount).0;
            let amount = self.switches.amount_parser.parse(&amount).ok_or(Failure::FileUnreadable)?;
            let payee = SHIFT_JIS.decode_without_bom_handling(payee).0.trim_end().to_owned();
            Ok(Draft { amount, payee, designated: None })
        });
        match drafts.collect::<Result<Vec<_>, _>>()? {
            none if none.is_empty() => Err(Failure::FileUnreadable),
            lines => Ok(lines),
        }
    }

    /// 総合振込 → 振込振替: one amount or up to ten are executed as ordinary transfers; the customer's last file lapses.
    pub(super) fn switch_file(&mut self, visit: &Visit<'_>, by: &Signature) -> Result<Reply, Failure> {
        self.spend_token(visit)?;
        if visit.parameters.filled("amount").is_some() {
            let draft = self.draft(&visit.parameters, "amount", "payee")?;
            self.books.execute(by, &draft, OrderClass::Transfer)?;
        } else {
            self.execute_lines(visit, by)?;
        }
        self.books.convert_file(&by.login_id);
        Ok(Reply::Redirect("/ib/transfer/done.do".to_owned()))
    }

    /// `limit` for the first account, or `limit1` to `limit3`; all of them or none. The bank shows these limits and
    /// enforces none of them.
    pub(super) fn change_limits(&mut self, visit: &Visit<'_>, by: &Signature) -> Result<Reply, Failure> {
        let numbered = ACCOUNTS.map(|account| (account, format!("limit{account}")));
        let fields = [(ACCOUNTS[0], "limit".to_owned())].into_iter().chain(numbered);
        let filled = fields.filter_map(|(account, field)| Some((account, visit.parameters.filled(&field)?)));
        let parser = self.switches.amount_parser;
        let read = filled.map(|(account, text)| Ok((account, parser.parse(text).ok_or(Failure::AmountUnreadable)?)));
        let limits = read.collect::<Result<Vec<_>, _>>()?;
        if limits.is_empty() {
            return Err(Failure::AmountMissing);
        }
        let contract = self.books.contract(&by.login_id);
        for (account, yen) in limits {
            self.books.set_limit(&contract, account, yen);
        }
        Ok(Reply::Redirect("/ib/limit/done.do".to_owned()))
    }
}
