//! Which of the application's screens a request is for (LIM-25, LIM-26, LIM-38).
//!
//! A route is found by method and canonical path, and where one path serves several screens, by the parameter that tells
//! them apart. Below the guarded paths whatever is no route is refused: a servlet that answers to more names than anybody
//! remembers must not become a way around the ceiling.

mod class;
mod path;

use std::collections::HashMap;
use std::sync::Arc;

use http::Method;
use http::uri::PathAndQuery;
use http_body::Body as _;

pub use class::{Class, Step};
pub use path::{AmbiguousPath, CanonicalPath};

use self::path::folded;
use super::treatment::Treatment;
use crate::connection::Standing;
use crate::connection::request::Understood;
use crate::refusal::{Refusal, TransferRefusal};

/// The name of the route that stands for everything which is no route.
pub const OTHER: &str = crate::operator::metrics::OTHER_ROUTE;

/// `[[route]]`: one screen of the application.
#[derive(Debug, Clone)]
pub struct Route {
    /// In metrics, audit records and the ledger.
    pub name: Arc<str>,
    /// Its place among the metrics' routes; 0 is [`OTHER`].
    pub number: usize,
    /// The methods it takes; empty for any.
    pub methods: Vec<Method>,
    /// Its path in canonical form, without parameters.
    pub path: String,
    /// What it is for.
    pub class: Class,
    /// Whether it moves money that counts against no ceiling (LIM-03).
    pub is_exempt: bool,
    /// What happens to a request on it.
    pub treatment: Treatment,
}

impl Route {
    /// Whether its form is held to the certificate that it comes with.
    pub fn binds_a_login(&self) -> bool {
        match &self.treatment {
            Treatment::Inspected(rules) => rules.login.is_some(),
            Treatment::Streamed { .. } => false,
        }
    }
}

/// Which routes a rule is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// All, also what is no route.
    All,
    /// Those with one of these names, or of a class called so.
    Named(Vec<String>),
}

/// Whether refusals of money hold (LIM-29).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enforcement {
    /// They do.
    Enforce,
    /// They are recorded, and the request goes on.
    Observe,
}

/// The routes that one method and path may mean: nearly always one.
type Candidates = Arc<[Arc<Route>]>;

/// All routes, found by path.
#[derive(Debug)]
pub struct Routes {
    by_path: HashMap<String, ByMethod>,
    other: Candidates,
    /// The segments of guarded paths, in lower case.
    guards: Vec<Vec<String>>,
    /// Those of them where somebody logs in: what is refused there is refused in any case.
    entrances: Vec<Vec<String>>,
    enforcement: Enforcement,
}

/// The routes on one path.
#[derive(Debug, Default)]
struct ByMethod {
    /// Those that name their method. They come before those that do not.
    named: Vec<(Method, Candidates)>,
    any: Option<Candidates>,
    /// Whether the bodies of one of them are inspected.
    is_inspected: bool,
}

impl ByMethod {
    fn add(&mut self, route: &Arc<Route>) {
        self.is_inspected |= route.treatment.is_inspected();
        let joined = |before: &[Arc<Route>]| before.iter().chain([route]).cloned().collect();
        if route.methods.is_empty() {
            self.any = Some(joined(self.any.as_deref().unwrap_or_default()));
        }
        for method in &route.methods {
            match self.named.iter_mut().find(|(named, _)| named == method) {
                Some((_, candidates)) => *candidates = joined(candidates),
                None => self.named.push((method.clone(), joined(&[]))),
            }
        }
    }

    fn get(&self, method: &Method) -> Option<&Candidates> {
        let named = self.named.iter().find(|(named, _)| named == method).map(|(_, candidates)| candidates);
        named.or(self.any.as_ref())
    }
}

/// A request whose route is known, or known to be one of a few. Only [`Routes::find`] makes one.
#[derive(Debug)]
pub struct Routed {
    pub(super) request: Box<Understood>,
    pub(super) candidates: Candidates,
    /// What would have been refused, were this enforced.
    pub observed: Option<Refusal>,
}

impl Selector {
    /// Whether the rule is about this route.
    pub fn takes(&self, route: &Route) -> bool {
        match self {
            Self::All => true,
            Self::Named(names) => names.iter().any(|name| *name == *route.name || name == route.class.word()),
        }
    }
}

impl Routes {
    /// The table of these routes. `prefixes` are guarded (LIM-38), and so is the path of every route that is inspected:
    /// its other spellings, methods and path-infos are no way around it.
    pub fn new(routes: Vec<Route>, prefixes: &[String], enforcement: Enforcement) -> Self {
        let other = Route {
            name: OTHER.into(),
            number: 0,
            methods: Vec::new(),
            path: String::new(),
            class: Class::Other,
            is_exempt: false,
            treatment: Treatment::Streamed { max_body: None, markers: None },
        };
        let routes: Vec<Arc<Route>> = routes.into_iter().map(Arc::new).collect();
        let folded = |path: &String| segments(path).map(str::to_ascii_lowercase).collect::<Vec<_>>();
        let guarded = routes.iter().filter(|route| route.treatment.is_inspected()).map(|route| &route.path);
        let mut guards: Vec<_> = prefixes.iter().chain(guarded).map(folded).collect();
        guards.sort();
        guards.dedup();
        let entrances = routes.iter().filter(|route| route.binds_a_login()).map(|route| folded(&route.path)).collect();
        let mut by_path: HashMap<String, ByMethod> = HashMap::new();
        for route in &routes {
            by_path.entry(route.path.clone()).or_default().add(route);
        }
        Self { by_path, other: [Arc::new(other)].into(), guards, entrances, enforcement }
    }

    /// Finds the route of a request. Where paths are guarded its target is canonical from then on: what was matched is
    /// what is forwarded.
    ///
    /// # Errors
    /// A path with two readings, a method that the path does not take, or takes without parameters only, and what is no
    /// route below a guarded path.
    pub fn find(&self, mut request: Box<Understood>) -> Result<Routed, Refusal> {
        let target = request.target().clone();
        // `*` asks about the server as a whole.
        if !target.path().starts_with('/') {
            return Ok(Routed { request, candidates: Arc::clone(&self.other), observed: None });
        }
        let path = match CanonicalPath::of(target.path()) {
            Ok(path) => path,
            // Where nothing is guarded, a path of two readings is nobody's but the application's.
            Err(AmbiguousPath) if self.guards.is_empty() => {
                return Ok(Routed { request, candidates: Arc::clone(&self.other), observed: None });
            }
            Err(AmbiguousPath) => return Err(Refusal::AmbiguousPath),
        };
        if path.forwarded != target.path() && !self.guards.is_empty() {
            let query = target.query().map_or_else(String::new, |query| format!("?{query}"));
            let canonical = PathAndQuery::try_from(format!("{}{query}", path.forwarded));
            request.set_target(canonical.map_err(|_| Refusal::BadTarget)?);
        }
        let found = self.candidates(&path.matched, &request.parts.method).and_then(|candidates| {
            let is_bare = || {
                target.query().is_none_or(str::is_empty)
                    && path.parameters.iter().all(|parameter| is_session(parameter))
                    && request.body.is_end_stream()
            };
            if self.only_shows(&path.matched, candidates) && !is_bare() {
                return Err(Refusal::Transfer(TransferRefusal::MethodNotRouted));
            }
            Ok(candidates)
        });
        match found {
            Ok(candidates) => Ok(Routed { request, candidates: Arc::clone(candidates), observed: None }),
            Err(refusal) if self.enforcement == Enforcement::Observe && !lies_below(&path.matched, &self.entrances) => {
                Ok(Routed { request, candidates: Arc::clone(&self.other), observed: Some(refusal) })
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// Whether a page on this canonical path can be asked for, without parameters.
    pub fn shows(&self, path: &str) -> bool {
        self.candidates(path, &Method::GET).is_ok()
    }

    /// Whether refusals of money hold.
    pub fn enforcement(&self) -> Enforcement {
        self.enforcement
    }

    fn candidates(&self, path: &str, method: &Method) -> Result<&Candidates, Refusal> {
        let here = self.by_path.get(path);
        let found = here.and_then(|here| here.get(method));
        match found {
            Some(routes) => Ok(routes),
            None if !self.is_guarded(path) => Ok(&self.other),
            None if here.is_some() => Err(Refusal::Transfer(TransferRefusal::MethodNotRouted)),
            None => Err(Refusal::Transfer(TransferRefusal::UnknownRoute)),
        }
    }

    /// Whether these routes show what others on their path execute. Servlets of this age do by GET what they do by POST, so
    /// such a page is asked for without parameters: with them it would be the transfer itself (LIM-25).
    fn only_shows(&self, path: &str, candidates: &[Arc<Route>]) -> bool {
        let is_inspected = self.by_path.get(path).is_some_and(|here| here.is_inspected);
        is_inspected && !candidates.iter().any(|route| route.treatment.is_inspected())
    }

    /// Whether the path is, or lies below, a guarded one in the view of the most forgiving server: folded to deny.
    fn is_guarded(&self, path: &str) -> bool {
        lies_below(path, &self.guards)
    }
}

fn lies_below(path: &str, guards: &[Vec<String>]) -> bool {
    guards.iter().any(|guard| {
        let mut path = segments(path);
        guard.iter().all(|segment| path.next().is_some_and(|own| is_alike(own, segment)))
    })
}

/// Whether some server takes a segment for a guarded one.
fn is_alike(own: &str, guarded: &str) -> bool {
    own.eq_ignore_ascii_case(guarded) || (own.contains('%') && folded(own) == folded(guarded))
}

/// Whether a path parameter is a session of the application, in letters that hide no second parameter. Some containers take
/// every other one for a parameter of the request.
fn is_session(parameter: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!:+".contains(&byte);
    let named = parameter.split_once('=').filter(|(name, _)| name.eq_ignore_ascii_case("jsessionid"));
    named.is_some_and(|(_, session)| session.bytes().all(is_plain))
}

/// The segments of a path, without what some systems cut off the end of a name: dots and blanks.
fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty()).map(|segment| {
        let mut kept = segment;
        loop {
            let shorter = kept.trim_end_matches('.').trim_end_matches("%20");
            if shorter.len() == kept.len() {
                return kept;
            }
            kept = shorter;
        }
    })
}

impl Routed {
    /// The route, or those of which the body will tell one.
    pub fn candidates(&self) -> &[Arc<Route>] {
        &self.candidates
    }

    /// Who sends it.
    pub fn standing(&self) -> &Standing {
        self.request.standing()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::body::{self, AmountFormat, BodyFormat, BodyRules, Charset, MediaType};
    use crate::policy::treatment::{Act, InspectionRules, Markers};

    fn route(name: &str, methods: &[Method], path: &str, is_inspected: bool) -> Route {
        let format = BodyFormat { media: MediaType::Form, charset: Charset::Utf8, max_fields: 10 };
        let settings = body::Settings {
            format,
            amount: vec!["amount".into()],
            earlier: Vec::new(),
            is_complete: false,
            amount_format: AmountFormat::Strict,
            fields: None,
            fixed: Vec::new(),
            date: None,
            transaction: None,
            token: None,
            payee: None,
            login_id: None,
            parameters: Vec::new(),
        };
        let markers = Markers { success: None, failure: Vec::new(), charset: Charset::Utf8, max_page: 1 };
        let rules = InspectionRules {
            rules: BodyRules::new(settings).unwrap(),
            max_body: 1,
            login: None,
            act: Act::Commit { entered: None, leaves: None, is_atomic: false, has_token: false, number: None },
            markers,
        };
        let treatment = match is_inspected {
            true => Treatment::Inspected(Box::new(rules)),
            false => Treatment::Streamed { max_body: None, markers: None },
        };
        Route {
            name: name.into(),
            number: 1,
            methods: methods.to_vec(),
            path: path.into(),
            class: Class::Other,
            is_exempt: false,
            treatment,
        }
    }

    fn routes() -> Routes {
        let all = vec![
            route("page", &[], "/ib/transfer/commit.do", false),
            route("commit", &[Method::POST], "/ib/transfer/commit.do", true),
            route("done", &[Method::GET], "/ib/transfer/done.do", false),
            route("elsewhere", &[Method::POST], "/pay.do", true),
        ];
        Routes::new(all, &["/ib/transfer/".into()], Enforcement::Enforce)
    }

    fn found(method: &Method, path: &str) -> Result<String, Refusal> {
        routes().candidates(path, method).map(|candidates| candidates[0].name.to_string())
    }

    #[test]
    fn a_route_that_names_its_method_is_not_shadowed() {
        assert_eq!(found(&Method::POST, "/ib/transfer/commit.do"), Ok("commit".into()));
        assert_eq!(found(&Method::GET, "/ib/transfer/commit.do"), Ok("page".into()));
        assert_eq!(found(&Method::GET, "/ib/menu.do"), Ok(OTHER.into()));
    }

    #[test]
    fn below_a_guarded_path_what_is_no_route_is_refused() {
        let unknown = Err(Refusal::Transfer(TransferRefusal::UnknownRoute));
        for path in [
            "/ib/transfer",
            "/ib/transfer/",
            "/ib/transfer/new.do",
            "/IB/Transfer/commit.do",
            "/ib/transfer/commit.do/",
            "/ib/transfer/commit.do/x",
            "/ib/transfer./commit.do",
            "/ib/transfer/commit.do%20",
            "/ib/%EF%BD%94ransfer/commit.do",
            "/ib/tran%C5%BFfer%E3%80%80/commit.do",
            "/pay%EF%BC%8Edo",
            "/pay.do/",
            "/PAY.do",
            "/pay.do/path-info",
        ] {
            assert_eq!(found(&Method::POST, path), unknown, "{path}");
            assert_eq!(found(&Method::GET, path), unknown, "{path}");
        }
        for path in ["/ib/transfers/x.do", "/ib/transfer.do", "/pay.do2", "/x/pay.do", "/ib"] {
            assert_eq!(found(&Method::POST, path), Ok(OTHER.into()), "{path}");
        }
    }

    #[test]
    fn a_guarded_path_takes_only_its_methods() {
        let method = Err(Refusal::Transfer(TransferRefusal::MethodNotRouted));
        for other in [Method::GET, Method::HEAD, Method::PUT, Method::from_bytes(b"post").unwrap()] {
            assert_eq!(found(&other, "/pay.do"), method, "{other}");
        }
        assert_eq!(found(&Method::POST, "/ib/transfer/done.do"), method);
    }
}
