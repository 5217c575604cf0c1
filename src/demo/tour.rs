//! The story, step by step. Each step says what happened and prints the line that repeats it.
//!
//! Invariant: a printed line stays true while the stage stands. So the customer whose certificate is revoked along the
//! way (step 7) appears in no other step.

use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use http::StatusCode;

use super::Verdict;
use super::bank::Received;
use super::client::{Answer, Connection, Ended, Visitor, get_plain};
use super::stage::Stage;
use crate::domain::LoginId;
use crate::upstream::assertion::{self, Expected};

const MENU: &str = "/ib/menu.do";
const LOGIN: &str = "/ib/login.do";
/// The bank would believe it.
const STOLEN: &str = "loginId=taroykdt&password=right";
const OTHER_PATH: &str = "/ib/transfer.do";
const FORGED: [(&str, &str); 3] =
    [("X-Login-Id", "taroykdt"), ("X_Login_Id", "taroykdt"), ("X-Login-Assertion", "eyJhbGciOiJub25lIn0.e30.")];
/// The gateway promises one second; a machine that also compiles something gets a little more before the story fails.
const PATIENCE: Duration = Duration::from_secs(5);
const SKEW_SECONDS: i64 = 5;

/// What happened: as told, or otherwise.
pub(super) type Happened = Result<String, String>;

/// The story on a stage.
pub(super) struct Tour<'a> {
    pub(super) stage: &'a Stage,
}

impl<'a> Tour<'a> {
    /// The story, not yet begun.
    pub(super) fn of(stage: &'a Stage) -> Self {
        Self { stage }
    }

    /// Tells it from beginning to end, also where a step went wrong.
    pub(super) async fn tell(&self, out: &mut dyn Write) -> io::Result<Verdict> {
        let mut narrator = Narrator { out, steps: 0, as_told: 0 };

        let nobody = self.refused(None).await;
        narrator.tell("Without a certificate the handshake ends", nobody, &self.curl(None, "", MENU))?;

        let greeted = self.greeted("hanakodt").await;
        narrator.tell("With hers, the bank greets hanakodt", greeted, &self.curl(Some("hanakodt"), "", MENU))?;

        let forged = self.forged().await;
        let headers: String = FORGED.iter().map(|(name, value)| format!(" -H '{name}: {value}'")).collect();
        let title = "Hanakodt says she is taroykdt: her headers vanish, ours stand there once";
        narrator.tell(title, forged, &self.curl(Some("hanakodt"), &headers, MENU))?;

        let token = self.token();
        let at = self.stage.clock.now();
        let verify = |target| self.verify_command(token.as_deref().unwrap_or_default(), target, at);
        let own = self.verified(token.as_deref(), MENU, at);
        narrator.tell("The bank can prove who sent the request: the signed header verifies", own, &verify(MENU))?;
        let other = self.not_verified(token.as_deref(), OTHER_PATH, at);
        narrator.tell("The same signed header proves nothing on another path", other, &verify(OTHER_PATH))?;

        let revoked = self.refused(Some("revoked1")).await;
        narrator.tell("A revoked certificate is no certificate", revoked, &self.curl(Some("revoked1"), "", MENU))?;

        let on_the_way = self.revoked_on_the_way().await;
        let title = "Sachiko1 is revoked while she is connected: her connection ends, and she gets no other";
        narrator.tell(title, on_the_way, &self.curl(Some("sachiko1"), "", MENU))?;

        let stolen = self.stolen_password().await;
        let form = format!(" -i -d '{STOLEN}'");
        let title = "Hanakodt knows taroykdt's password: with her certificate it opens nothing";
        narrator.tell(title, stolen, &self.curl_as_it_is(Some("hanakodt"), &form, LOGIN))?;

        let (session, hijacked) = self.stolen_session().await;
        let cookie = format!(" -i -H 'Cookie: {session}'");
        let title =
            "Hanakodt has taroykdt's session, as it stands in his browser: with her certificate it opens nothing";
        narrator.tell(title, hijacked, &self.curl_as_it_is(Some("hanakodt"), &cookie, MENU))?;

        let others = self.greeted("taroykdt").await;
        narrator.tell("Nobody else noticed: taroykdt is greeted", others, &self.curl(Some("taroykdt"), "", MENU))?;

        self.tell_transfers(&mut narrator).await?;

        let metrics = self.metrics().await;
        let command = format!("curl -sS http://{}/metrics | grep '^sekisho_'", self.stage.operator);
        narrator.tell("The security team sees it all, and no name", metrics, &command)?;

        narrator.conclude()
    }

    /// A visitor whom the gateway must turn away during the handshake.
    async fn refused(&self, login_id: Option<&str>) -> Happened {
        let before = self.stage.bank.received();
        let visitor = self.visitor(login_id)?;
        let ended = match visitor.get(MENU, &[]).await {
            Err(ended) => ended,
            Ok(answer) => return Err(format!("The gateway answered {}.", answer.status)),
        };
        self.bank_unchanged_since(before)?;
        Ok(format!("The gateway ended the handshake ({ended}). Nothing reached the bank."))
    }

    async fn greeted(&self, login_id: &str) -> Happened {
        let answer = self.visitor(Some(login_id))?.get(MENU, &[]).await.map_err(not_refused)?;
        let greeting = greeting(&answer, login_id)?;
        Ok(format!("{} and the page says: {greeting}", answer.status))
    }

    async fn forged(&self) -> Happened {
        let answer = self.visitor(Some("hanakodt"))?.get(MENU, &FORGED).await.map_err(not_refused)?;
        let greeting = greeting(&answer, "hanakodt")?;
        let received = self.stage.bank.last().ok_or("Nothing reached the bank.")?;
        let settings = &self.stage.assertion;
        for (name, forged) in [(&settings.login_id_header, FORGED[0].1), (&settings.header, FORGED[2].1)] {
            match &in_any_spelling(&received, name.as_str())[..] {
                [only] if *only != forged => {}
                values => return Err(format!("The bank received {name} as {values:?}.")),
            }
        }
        let count = FORGED.len();
        Ok(format!("She sent {count} forged headers; the bank received each name once, from the gateway: {greeting}"))
    }

    /// A login as somebody else, with a certificate of the own.
    async fn stolen_password(&self) -> Happened {
        let before = self.stage.bank.received();
        let mut connection = self.visitor(Some("hanakodt"))?.connect().await.map_err(not_refused)?;
        let answer = connection.submit(LOGIN, STOLEN).await.map_err(not_refused)?;
        self.bank_unchanged_since(before)?;
        match answer.status {
            StatusCode::FORBIDDEN if answer.page.contains("login_id_mismatch") => {
                Ok(format!("{}; the page says why (login_id_mismatch). Nothing reached the bank.", answer.status))
            }
            status => Err(format!("The gateway answered {status}.")),
        }
    }

    /// Another customer's session under a certificate of the own; and which one that is.
    async fn stolen_session(&self) -> (String, Happened) {
        let session = match self.session_of("taroykdt").await {
            Ok(session) => session,
            Err(otherwise) => return (String::new(), Err(otherwise)),
        };
        let happened = self.led_to_login("hanakodt", &session).await;
        (session, happened)
    }

    async fn session_of(&self, login_id: &str) -> Result<String, String> {
        let answer = self.visitor(Some(login_id))?.get(MENU, &[]).await.map_err(not_refused)?;
        greeting(&answer, login_id)?;
        answer.session.ok_or_else(|| "The bank began no session.".to_owned())
    }

    async fn led_to_login(&self, login_id: &str, session: &str) -> Happened {
        let before = self.stage.bank.received();
        let answer = self.visitor(Some(login_id))?.get(MENU, &[("Cookie", session)]).await.map_err(not_refused)?;
        self.bank_unchanged_since(before)?;
        match (answer.status, answer.location) {
            (StatusCode::SEE_OTHER, Some(to)) if to == LOGIN => {
                Ok(format!("{}: she is led to {to}. Nothing reached the bank.", answer.status))
            }
            (status, to) => Err(format!("The gateway answered {status} {}.", to.unwrap_or_default())),
        }
    }

    /// The signed header of the last request as the bank received it.
    fn token(&self) -> Option<String> {
        let received = self.stage.bank.last()?;
        Some(received.headers.get(&self.stage.assertion.header)?.to_str().ok()?.to_owned())
    }

    fn verify(&self, token: &str, target: &str, at: jiff::Timestamp) -> Result<assertion::Claims, assertion::Invalid> {
        let settings = &self.stage.assertion;
        let expected = Expected {
            issuer: &settings.issuer,
            audience: &settings.audience,
            method: "GET",
            target,
            login_id: Some("hanakodt"),
            body: None,
            now: at.as_second(),
            skew: SKEW_SECONDS,
        };
        assertion::verify(&settings.keys, &expected, token)
    }

    fn verified(&self, token: Option<&str>, target: &str, at: jiff::Timestamp) -> Happened {
        let token = token.ok_or("The bank received no signed header.")?;
        let claims = self.verify(token, target, at).map_err(|invalid| format!("It does not: {invalid}."))?;
        let left = claims.expires_at - at.as_second();
        Ok(format!("Signed for {}, for GET {target} alone, for {left} more seconds.", claims.subject))
    }

    fn not_verified(&self, token: Option<&str>, target: &str, at: jiff::Timestamp) -> Happened {
        let token = token.ok_or("The bank received no signed header.")?;
        match self.verify(token, target, at) {
            Err(invalid) => Ok(format!("For GET {target} the verifier says: {invalid}.")),
            Ok(_) => Err(format!("It is believed for GET {target}.")),
        }
    }

    async fn revoked_on_the_way(&self) -> Happened {
        let visitor = self.visitor(Some("sachiko1"))?;
        let mut connection = visitor.connect().await.map_err(not_refused)?;
        let answer = connection.get(MENU, &[]).await.map_err(not_refused)?;
        greeting(&answer, "sachiko1")?;

        let login_id = LoginId::parse("sachiko1").ok_or("The login ID does not parse.")?;
        self.stage.revoke(&login_id).map_err(|mistake| mistake.to_string())?;
        let revoked = Instant::now();
        let how = until_refused(&mut connection, revoked).await?;
        let milliseconds = revoked.elapsed().as_millis();

        let before = self.stage.bank.received();
        for again in [connection.get(MENU, &[]).await, visitor.get(MENU, &[]).await] {
            if let Some(answer) = again.ok().filter(|answer| answer.status != StatusCode::FORBIDDEN) {
                return Err(format!("Afterwards the gateway answered {}.", answer.status));
            }
        }
        self.bank_unchanged_since(before)?;
        Ok(format!(
            "She was greeted; the revocation list was replaced; after {milliseconds} ms the gateway had noticed by\n\
             itself and ended her connection ({how}). A new one is refused. Nothing more reached the bank."
        ))
    }

    async fn metrics(&self) -> Happened {
        let answer = get_plain(self.stage.operator, "/metrics").await.map_err(not_refused)?;
        let wanted = [
            ("sekisho_handshakes_total", "result=\"no_certificate\""),
            ("sekisho_handshakes_total", "result=\"revoked\""),
            ("sekisho_identity_headers_removed_total", ""),
            ("sekisho_transfers_total", "state=\"committed\""),
            ("sekisho_transfers_total", "state=\"refused\""),
        ];
        let counted = |line: &&str| line.rsplit(' ').next().and_then(|n| n.parse().ok()).is_some_and(|n: f64| n > 0.0);
        let mut lines = Vec::new();
        for (name, label) in wanted {
            let mut series = answer.page.lines().filter(|line| line.starts_with(name) && line.contains(label));
            lines.push(series.find(counted).ok_or_else(|| format!("No {name} with {label}."))?);
        }
        match ["hanakodt", "taroykdt", "sachiko1", "revoked1"].into_iter().find(|name| answer.page.contains(name)) {
            Some(name) => Err(format!("The metrics name {name}.")),
            None => Ok(lines.join("\n")),
        }
    }

    pub(super) fn visitor(&self, login_id: Option<&str>) -> Result<Visitor, String> {
        Visitor::new(&self.stage.certs(), login_id, self.stage.entrance).map_err(|ended| ended.to_string())
    }

    pub(super) fn bank_unchanged_since(&self, before: u64) -> Result<(), String> {
        match self.stage.bank.received() - before {
            0 => Ok(()),
            leaked => Err(format!("{leaked} requests reached the bank.")),
        }
    }

    /// The line that asks for the same again.
    pub(super) fn curl_as_it_is(&self, login_id: Option<&str>, options: &str, target: &str) -> String {
        let certs = self.stage.certs();
        let file = |name: &str| quoted(&certs.join(name));
        let certificate = login_id.map_or_else(String::new, |login_id| {
            let file = |extension| file(&format!("clients/{login_id}.{extension}"));
            format!(" --cert {} --key {}", file("pem"), file("key"))
        });
        let url = format!("https://localhost:{}{target}", self.stage.entrance.port());
        format!("curl -sS --cacert {}{certificate}{options} {url}", file("server-ca.pem"))
    }

    /// The same for a page of the bank, which is not written in UTF-8.
    fn curl(&self, login_id: Option<&str>, options: &str, target: &str) -> String {
        format!("{} | iconv -f CP932 -t UTF-8", self.curl_as_it_is(login_id, options, target))
    }

    fn verify_command(&self, token: &str, target: &str, at: jiff::Timestamp) -> String {
        let program = std::env::current_exe().map_or_else(|_| "sekisho".to_owned(), |path| quoted(&path));
        let files: String =
            self.stage.configuration().iter().map(|file| format!(" --config {}", quoted(file))).collect();
        format!("{program} assertion verify{files} --target {target} --login-id hanakodt --at {at:.0} {token}")
    }
}

/// Prints the steps and counts those that went as told.
pub(super) struct Narrator<'o> {
    out: &'o mut dyn Write,
    steps: usize,
    as_told: usize,
}

impl Narrator<'_> {
    pub(super) fn tell(&mut self, title: &str, happened: Happened, again: &str) -> io::Result<()> {
        self.steps += 1;
        let (mark, text) = match happened {
            Ok(text) => {
                self.as_told += 1;
                ("✓", text)
            }
            Err(text) => ("✗", text),
        };
        writeln!(self.out, "{mark} {}. {title}", self.steps)?;
        for line in text.lines() {
            writeln!(self.out, "     {line}")?;
        }
        writeln!(self.out, "     $ {again}\n")?;
        self.out.flush()
    }

    fn conclude(self) -> io::Result<Verdict> {
        writeln!(self.out, "{} of {} steps went as told.", self.as_told, self.steps)?;
        Ok(if self.as_told == self.steps { Verdict::AsTold } else { Verdict::Otherwise })
    }
}

/// Asks on an open connection until the gateway ends it; says how it did.
async fn until_refused(connection: &mut Connection, since: Instant) -> Happened {
    loop {
        match connection.get(MENU, &[]).await {
            Err(ended) => return Ok(ended.to_string()),
            Ok(answer) if answer.status == StatusCode::FORBIDDEN => return Ok(answer.status.to_string()),
            Ok(_) if since.elapsed() > PATIENCE => return Err(format!("She is still answered after {PATIENCE:?}.")),
            Ok(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

pub(super) fn not_refused(ended: Ended) -> String {
    format!("The connection ended: {ended}.")
}

/// The page's greeting, if it is for `login_id` and for nobody else.
fn greeting(answer: &Answer, login_id: &str) -> Happened {
    let greeting = format!("ようこそ {login_id} 様");
    let others = answer.page.matches("ようこそ").count();
    match (answer.status, answer.page.contains(&greeting), others) {
        (StatusCode::OK, true, 1) => Ok(greeting),
        (status, ..) => Err(format!("The answer is {status} and does not greet {login_id}.")),
    }
}

/// The values under a name as an application server would see them, for which `_` and `-` are often the same.
fn in_any_spelling(received: &Received, name: &str) -> Vec<String> {
    let folded = |name: &str| name.to_ascii_lowercase().replace('_', "-");
    let values = received.headers.iter().filter(|(spelling, _)| folded(spelling.as_str()) == folded(name));
    values.map(|(_, value)| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
}

/// A path as a shell reads it.
fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if text.chars().all(is_plain) { text.into_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
