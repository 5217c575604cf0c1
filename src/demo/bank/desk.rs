//! The counter: who comes, with which session, to which servlet.
//!
//! `doGet` is `doPost`, as in so many applications: a GET with the right parameters executes. Servlets that only show
//! something stand outside `/ib/transfer/`, `/ib/approval/` and the like, except for the pages that a success leads to.

use http::header::SET_COOKIE;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::answer::{Paced, Reply};
use super::orders::{Books, Failure, Signature};
use super::parameters::Parameters;
use super::path::ServletPath;
use super::sessions::{Named, Origin, Sessions};
use super::{PathParameters, Switches};
use super::{forms, pages};
use crate::domain::JstDate;

/// Everything the application knows.
#[derive(Debug, Default)]
pub(super) struct Desk {
    pub(super) switches: Switches,
    pub(super) books: Books,
    pub(super) sessions: Sessions,
}

/// A request as the servlets see it.
#[derive(Debug)]
pub(super) struct Visit<'r> {
    pub(super) headers: &'r HeaderMap,
    pub(super) parameters: Parameters,
    pub(super) session: Named,
    pub(super) day: JstDate,
    query: Option<&'r str>,
    body: &'r [u8],
}

impl Desk {
    /// Answers one request, on that day.
    pub(super) fn serve(&mut self, parts: &Parts, body: &[u8], day: JstDate) -> Response<Paced> {
        let ServletPath { path, session, parameters: of_path } = ServletPath::read(parts.uri.path());
        let content_type = header(&parts.headers, "content-type").unwrap_or_default();
        let mut parameters = Parameters::read(parts.uri.query(), &content_type, body);
        match self.switches.path_parameters {
            PathParameters::CutOff => {}
            PathParameters::Merged => parameters.add_of_path(&of_path),
        }
        let visit = Visit {
            headers: &parts.headers,
            parameters,
            session: self.sessions.name(&parts.headers, session),
            day,
            query: parts.uri.query(),
            body,
        };
        let is_servlet = path.starts_with("/ib/") && path.ends_with(".do");
        let reply = match path.as_str() {
            "/" => Reply::Redirect("/ib/menu.do".to_owned()),
            path if is_servlet => self.servlet(path, &visit),
            _ => Reply::Page(StatusCode::NOT_FOUND, pages::not_found()),
        };
        match visit.session.origin {
            Origin::Made if is_servlet => with_cookie(reply.into_response(), &visit.session.id),
            Origin::Made | Origin::Cookie => reply.into_response(),
            Origin::Url => rewritten(reply, &visit.session.id).into_response(),
        }
    }

    fn servlet(&mut self, path: &str, visit: &Visit<'_>) -> Reply {
        if let Some(reply) = self.before_login(path, visit) {
            return reply;
        }
        let Some(login_id) = self.customer(visit) else {
            return page(pages::login(None));
        };
        let request_id = header(visit.headers, "x-request-id");
        let by = Signature { login_id, day: visit.day, request_id };
        let outcome = match path {
            "/ib/api/transfer.do" => {
                let json = Parameters::read_json(visit.query, visit.body);
                return self.transfer_json(&json, &by);
            }
            "/ib/transfer/commit.do" | "/ib/transfer/file.do" => self.transfer_once(visit, &by),
            "/ib/transfer/multi.do" => self.transfer_lines(visit, &by),
            "/ib/transfer/entry.do" | "/ib/wizard.do" => self.enter(visit),
            "/ib/transfer/confirm.do" => self.confirm(visit),
            "/ib/transfer/execute.do" => self.execute_entered(visit, &by),
            "/ib/transfer/cancel.do" => self.cancel(visit, &by),
            "/ib/dispatch.do" => self.dispatch(visit, &by),
            "/ib/approval/request.do" => self.propose(visit, &by),
            "/ib/approval/approve.do" => self.approve(visit, &by),
            "/ib/bulk/upload.do" | "/ib/payroll/upload.do" => self.upload(path, visit, &by),
            "/ib/bulk/switch.do" => self.switch_file(visit, &by),
            "/ib/limit/change.do" => self.change_limits(visit, &by),
            path => Ok(self.show(path, visit, &by)),
        };
        outcome.unwrap_or_else(|failure| self.error(failure, visit))
    }

    /// The servlets that change nothing. Whatever has no page of its own shows the menu.
    fn show(&mut self, path: &str, visit: &Visit<'_>, by: &Signature) -> Reply {
        let token = |desk: &mut Self| desk.sessions.open(&visit.session).give_token();
        let contract = self.books.contract(&by.login_id);
        page(match path {
            "/ib/transfer.do" => forms::transfer(&token(self)),
            "/ib/lines.do" => forms::lines(&token(self)),
            "/ib/file.do" => forms::file(&token(self)),
            "/ib/orders.do" => forms::orders(&self.books, &contract, by.day),
            "/ib/approval.do" => {
                let token = token(self);
                forms::approval(&self.books, &contract, &token)
            }
            "/ib/bulk.do" => forms::bulk(&token(self)),
            "/ib/payroll.do" => forms::payroll(),
            "/ib/limit.do" => forms::limit(self.books.limits(&contract)),
            "/ib/transfer/done.do" | "/ib/bulk/done.do" | "/ib/payroll/done.do" | "/ib/approval/done.do" => {
                let ours = self.books.orders().iter().rfind(|order| order.login_id == by.login_id);
                pages::done(path, ours)
            }
            "/ib/transfer/cancelled.do" => pages::cancelled(),
            "/ib/transfer/error.do" => return self.error(Failure::Busy, visit),
            "/ib/approval/requested.do" => pages::requested(visit.parameters.first("id").unwrap_or_default()),
            "/ib/limit/done.do" => pages::limit_done(self.books.limits(&contract)),
            _ => pages::menu(&by.login_id, self.books.executed_sum(&contract, by.day), visit.headers),
        })
    }

    /// Whose money it is about: who logged in to this session, else whom the header names.
    pub(super) fn customer(&self, visit: &Visit<'_>) -> Option<String> {
        let logged_in = self.sessions.find(&visit.session).and_then(|session| session.login_id.clone());
        logged_in.or_else(|| header(visit.headers, "x-login-id"))
    }

    pub(super) fn error(&self, failure: Failure, visit: &Visit<'_>) -> Reply {
        let payee = visit.parameters.filled("payee").map(|payee| self.switches.echo.of(payee));
        pages::error_reply(failure, payee.as_deref())
    }
}

pub(super) fn page(html: String) -> Reply {
    Reply::Page(StatusCode::OK, html)
}

/// The first field of that name, `_` and `-` being the same to the application server.
pub(super) fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    let folded = || headers.iter().find(|(other, _)| other.as_str().replace('_', "-") == name).map(|(_, value)| value);
    let value = headers.get(name).or_else(folded)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// Without `Secure`, as applications wrote it when TLS ended elsewhere.
fn with_cookie(mut response: Response<Paced>, session: &str) -> Response<Paced> {
    let cookie = HeaderValue::try_from(format!("JSESSIONID={session}; Path=/ib; HttpOnly")).ok();
    response.headers_mut().extend(cookie.map(|cookie| (SET_COOKIE, cookie)));
    response
}

/// `encodeURL`: a browser without cookies finds its session in every link.
fn rewritten(reply: Reply, session: &str) -> Reply {
    let session = pages::escape(session);
    match reply {
        Reply::Page(status, html) => Reply::Page(status, html.replace(".do\"", &format!(".do;jsessionid={session}\""))),
        Reply::Redirect(to) => {
            let (path, query) = to.split_once('?').map_or((to.as_str(), String::new()), |(p, q)| (p, format!("?{q}")));
            Reply::Redirect(format!("{path};jsessionid={session}{query}"))
        }
        Reply::Json(json) => Reply::Json(json),
    }
}
