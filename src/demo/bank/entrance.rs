//! What is open to everybody: the login, the logout, and 証明書取得 (S1-21, S1-22), which asks for ID and password alone.
//!
//! Any password but an empty one and `wrong` is right.

use super::answer::Reply;
use super::desk::{Desk, Visit, header, page};
use super::orders::Failure;
use super::pages;

impl Desk {
    /// The servlets that need no login; `None` where the path is not one of them.
    pub(super) fn before_login(&mut self, path: &str, visit: &Visit<'_>) -> Option<Reply> {
        let reply = match path {
            "/ib/login.do" => self.log_in(visit),
            "/ib/logout.do" => {
                self.sessions.end(&visit.session);
                page(pages::logged_out())
            }
            "/ib/certificate.do" => page(pages::certificate_start()),
            "/ib/certificate/confirm.do" => self.begin_issue(visit),
            "/ib/certificate/issue.do" => self.issue(visit, |_| pages::certificate_working()),
            "/ib/certificate/result.do" => self.issue(visit, pages::certificate_result),
            _ => return None,
        };
        Some(reply)
    }

    /// The form's login ID if there is one, else the certificate's.
    fn log_in(&mut self, visit: &Visit<'_>) -> Reply {
        if visit.parameters.first("loginId").or(visit.parameters.first("password")).is_none() {
            return page(pages::login(None));
        }
        let typed = visit.parameters.filled("loginId").map(str::to_owned);
        match typed.or_else(|| header(visit.headers, "x-login-id")) {
            Some(login_id) if password_is_right(visit) => {
                self.sessions.open(&visit.session).login_id = Some(login_id);
                Reply::Redirect("/ib/menu.do".to_owned())
            }
            Some(_) | None => page(pages::login(Some(Failure::PasswordWrong))),
        }
    }

    /// BSMS001 was filled in. Who is logged in already need not say it again (S1-20).
    fn begin_issue(&mut self, visit: &Visit<'_>) -> Reply {
        let login_id = match visit.parameters.filled("loginId") {
            Some(typed) => Some(typed.to_owned()).filter(|_| password_is_right(visit)),
            None => self.customer(visit),
        };
        match login_id {
            Some(login_id) => {
                self.sessions.open(&visit.session).issue_to = Some(login_id.clone());
                page(pages::certificate_confirm(&login_id))
            }
            None => self.error(Failure::PasswordWrong, visit),
        }
    }

    /// The later steps believe the form where it names a login ID again, and never ask who began.
    fn issue(&mut self, visit: &Visit<'_>, screen: impl FnOnce(&str) -> String) -> Reply {
        let begun = self.sessions.find(&visit.session).and_then(|session| session.issue_to.clone());
        match visit.parameters.filled("loginId").map(str::to_owned).or(begun) {
            Some(login_id) => page(screen(&login_id)),
            None => self.error(Failure::PasswordWrong, visit),
        }
    }
}

fn password_is_right(visit: &Visit<'_>) -> bool {
    visit.parameters.filled("password").is_some_and(|password| password != "wrong")
}
