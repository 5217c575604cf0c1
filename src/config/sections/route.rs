//! `[[route]]`: the application's screens, and what each means.

mod act;
mod marker;

use http::Method;

use self::act::{act_of, commits_alone, earlier_amounts, is_exempt, needs_success, warn_of_key, warn_of_lists};
use self::marker::{read_failures, read_success};
use super::table_name;
use super::transfer::{Transfer, canonical_path};
use crate::config::mistake::Read;
use crate::config::section::Section;
use crate::config::units::{choice, flag, integer, parsed_by, size, text};
use crate::operator::metrics::{MAX_ROUTES, OTHER_ROUTE};
use crate::policy::alarms;
use crate::policy::body::{
    self, AmountFormat, BodyFormat, BodyRules, Charset, DateFormat, Dispatch, MediaType, ParameterValue,
};
use crate::policy::route::{Class, Route, Step};
use crate::policy::treatment::{Act, InspectionRules, Login, LoginRule, Markers, NumberInAnswer, Treatment};

const MAX_BODY: usize = 64 << 10;
/// Files of thousands of payees fit.
const MAX_FILE: u64 = 16 << 20;
const MAX_PAGE: usize = 256 << 10;

/// A route as it was read, before it is known what shares its path.
struct Draft<'a> {
    section: Section<'a>,
    name: String,
    methods: Vec<Method>,
    path: String,
    class: Class,
    step: Step,
    body: body::Settings,
    login: Option<Login>,
    transaction: Option<Transaction>,
    /// Where the answer tells the order's number.
    order: Option<NumberInAnswer>,
    markers: Markers,
    is_atomic: bool,
    max_body: Option<u64>,
}

impl Draft<'_> {
    /// Whether its form says how much.
    fn has_amount(&self) -> bool {
        !self.body.amount.is_empty()
    }
}

/// Where the word stands that ties two requests together.
enum Transaction {
    Field,
    Answer(NumberInAnswer),
}

/// Reads every `[[route]]`.
pub(in crate::config) fn read_routes(root: &mut Section<'_>, transfer: Option<&Transfer>) -> Read<Vec<Route>> {
    let tables = root.optional_named_tables("route")?;
    if tables.len() >= MAX_ROUTES {
        return Err(root.mistake("route", format!("are more than {MAX_ROUTES}")));
    }
    let read: Vec<Read<Draft<'_>>> = tables.into_iter().map(read_draft).collect();
    let drafts = read.into_iter().collect::<Read<Vec<_>>>()?;
    let built: Vec<Read<Route>> = drafts.iter().map(|draft| build(draft, &drafts, transfer)).collect();
    drafts.into_iter().for_each(|draft| draft.section.finish());
    let routes: Vec<Route> = built.into_iter().collect::<Read<_>>()?;
    if let Some(transfer) = transfer {
        can_be_raised(root, &transfer.alarms, &routes)?;
        can_be_released(root, transfer, &routes)?;
    }
    Ok(routes)
}

/// What is cancelled frees something only where a route cancels, and another one tells how its orders are called.
fn can_be_released(root: &Section<'_>, transfer: &Transfer, routes: &[Route]) -> Read<()> {
    let mistake = |text: &str| Err(root.mistake("transfer.release-on-cancel", text.into()));
    let mut acts = routes.iter().filter_map(|route| match &route.treatment {
        Treatment::Inspected(rules) => Some(&rules.act),
        Treatment::Streamed { .. } => None,
    });
    if !transfer.release_on_cancel {
        return Ok(());
    }
    if !acts.clone().any(|act| *act == Act::Cancel) {
        return mistake("needs a counted route with step = \"cancel\"");
    }
    if !acts.any(|act| matches!(act, Act::Commit { number: Some(_), .. })) {
        return mistake("needs a counted route whose answers tell the number of its orders: one with the key order");
    }
    Ok(())
}

/// An alarm that nothing can raise would be taken for one that is silent.
fn can_be_raised(root: &Section<'_>, alarms: &alarms::Settings, routes: &[Route]) -> Read<()> {
    let any = |is: fn(&InspectionRules) -> bool| {
        routes.iter().any(|route| matches!(&route.treatment, Treatment::Inspected(rules) if is(rules)))
    };
    if alarms.many_payees.is_some() && !any(|rules| rules.act != Act::Nothing && rules.rules.names_a_payee()) {
        return Err(root.mistake("transfer.alarms.many-payees", "needs a counted route that names its payee".into()));
    }
    if alarms.raised_limit.is_some() && !any(|rules| rules.act == Act::ChangeLimit) {
        let text = "needs a route of the class \"limit-change\": nothing else tells of it";
        return Err(root.mistake("transfer.alarms.raised-limit", text.into()));
    }
    Ok(())
}

fn read_draft(mut section: Section<'_>) -> Read<Draft<'_>> {
    let name = section.required("name", |given| match table_name(given)? {
        name if name == OTHER_ROUTE => Err("\"other\" is what everything is called that is no route".into()),
        name => Ok(name),
    });
    let methods = section.one_or_more("method", parsed_by("a method such as \"POST\"", method));
    let path = section.required("path", canonical_path);
    let classes = Class::ALL.map(|class| (class.word(), class));
    let class = section.required("class", choice(&classes));
    let steps = Step::ALL.map(|step| (step.word(), step));
    let step = section.or("step", Step::Commit, choice(&steps));
    let media = [
        ("application/x-www-form-urlencoded", MediaType::Form),
        ("multipart/form-data", MediaType::Multipart),
        ("application/json", MediaType::Json),
    ];
    let media = section.or("content-type", MediaType::Form, choice(&media));
    let charset =
        section.or("charset", Charset::Utf8, parsed_by("a charset such as \"windows-31j\"", Charset::of_label));
    let max_fields = section.or("max-fields", 200, integer(1..=10_000));
    let (transaction_field, transaction) = read_transaction(&mut section)?;
    let login = section.optional_table("login-id").and_then(|table| table.map(read_login).transpose());
    let order = if section.is_table("order") {
        Some(read_place(&mut section, "order")?)
    } else {
        section.optional("order", |_| {
            Err("a table: { location-parameter = \"id\" } or { between = [\"<b>\", \"</b>\"] }".into())
        })?
    };
    let fields = read_fields(&mut section);
    let max_body = section.optional("max-body", size(1..=1_u64 << 40));
    let is_atomic = section.or("atomic", false, flag);
    let success = section.optional_table("success").and_then(|table| table.map(read_success).transpose());
    let failure = section.table_or_tables("failure").and_then(|tables| {
        let moves_money = class.as_ref().is_ok_and(|class| class.moves_money());
        read_failures(tables, moves_money, success.as_ref().ok().and_then(Option::as_ref))
    });
    let max_page = section.or("max-page", MAX_PAGE, size(1..=64 << 20));
    let charset = charset?;
    let mut body = fields?;
    body.format = BodyFormat { media: media?, charset, max_fields: max_fields? };
    body.transaction = transaction_field;
    let login = login?;
    body.login_id = login.as_ref().map(|login| login.field.clone());
    let markers = Markers { success: success?, failure: failure?, charset, max_page: max_page? };
    Ok(Draft {
        name: name?,
        methods: methods?.unwrap_or_default(),
        path: path?,
        class: class?,
        step: step?,
        body,
        login,
        transaction,
        order,
        markers,
        is_atomic: is_atomic?,
        max_body: max_body?,
        section,
    })
}

/// What a body holds.
fn read_fields(section: &mut Section<'_>) -> Read<body::Settings> {
    let amount = section.one_or_more("amount", text);
    let formats = [("strict", AmountFormat::Strict), ("ja", AmountFormat::Ja)];
    let is_complete = section.or("complete", false, flag);
    let amount_format = section.or("amount-format", AmountFormat::Strict, choice(&formats));
    let fields = section.list("fields", text);
    let fixed = section.pairs("fixed", text);
    let date = section.optional("date", text);
    let pattern = parsed_by("one of YYYYMMDD, YYYY-MM-DD, YYYY/MM/DD", DateFormat::of_pattern);
    let date_format = section.optional("date-format", pattern);
    let token = section.optional("token", text);
    let payee = section.optional("payee", text);
    let parameters = section.pairs("parameters", |given| match text(given)? {
        value if value == "*" => Ok(ParameterValue::Present),
        value => Ok(ParameterValue::Is(value)),
    });
    let date = match (date?, date_format?) {
        (Some(date), Some(format)) => Some((date, format)),
        (Some(_), None) => return Err(section.mistake("date-format", "is missing".into())),
        (None, Some(_)) => return Err(section.mistake("date", "is missing".into())),
        (None, None) => None,
    };
    Ok(body::Settings {
        format: BodyFormat { media: MediaType::Form, charset: Charset::Utf8, max_fields: 1 },
        amount: amount?.unwrap_or_default(),
        earlier: Vec::new(),
        is_complete: is_complete?,
        amount_format: amount_format?,
        fields: fields?,
        fixed: fixed?,
        date,
        transaction: None,
        token: token?,
        payee: payee?,
        login_id: None,
        parameters: parameters?,
    })
}

/// `transaction = "field"`, or where the answer tells the number: `{ location-parameter = "id" }`, `{ between = ["<b>", "</b>"] }`.
fn read_transaction(section: &mut Section<'_>) -> Read<(Option<String>, Option<Transaction>)> {
    if !section.is_table("transaction") {
        let field = section.optional("transaction", text)?;
        let transaction = field.is_some().then_some(Transaction::Field);
        return Ok((field, transaction));
    }
    Ok((None, Some(Transaction::Answer(read_place(section, "transaction")?))))
}

/// Where an answer tells an order's number.
fn read_place(section: &mut Section<'_>, key: &'static str) -> Read<NumberInAnswer> {
    let mut table = section.table(key)?;
    let parameter = table.optional("location-parameter", text)?;
    let between = table.list("between", text)?;
    let place = match (parameter, between.as_deref()) {
        (Some(parameter), None) => Ok(NumberInAnswer::LocationParameter(parameter)),
        (None, Some([before, after])) if before.contains('<') && after.contains('<') => {
            Ok(NumberInAnswer::Between(before.clone(), after.clone()))
        }
        (None, Some(_)) => Err(table.mistake("between", "must be two pieces of markup, each with a <".into())),
        (Some(_), Some(_)) | (None, None) => {
            Err(section.mistake(key, "must have either location-parameter or between".into()))
        }
    };
    table.finish();
    place
}

/// `login-id = { field = "loginId", rule = "verify" }`.
fn read_login(mut table: Section<'_>) -> Read<Login> {
    let rules = [("verify", LoginRule::Verify), ("forbid", LoginRule::Forbid), ("fill-in", LoginRule::FillIn)];
    let field = table.required("field", text);
    let rule = table.required("rule", choice(&rules));
    let login = Login { field: field?, rule: rule? };
    table.finish();
    Ok(login)
}

/// Only a login names who logs in, and only into a form of pairs is something filled in.
fn is_a_login(draft: &Draft<'_>) -> Read<()> {
    let Some(login) = &draft.login else { return Ok(()) };
    if draft.class != Class::Login {
        return Err(draft.section.mistake("login-id", "means nothing here: only a login says who logs in".into()));
    }
    let is_plain = draft.body.format.media == MediaType::Form && login.field.is_ascii();
    if login.rule == LoginRule::FillIn && !is_plain {
        let text = "fills in a field with an ASCII name of an application/x-www-form-urlencoded form, and nothing else";
        return Err(draft.section.mistake("login-id", text.into()));
    }
    Ok(())
}

fn method(text: &str) -> Option<Method> {
    let is_word = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_uppercase());
    Method::from_bytes(text.as_bytes()).ok().filter(|_| is_word)
}

/// The route that a draft becomes among the others.
fn build(draft: &Draft<'_>, all: &[Draft<'_>], transfer: Option<&Transfer>) -> Read<Route> {
    is_a_login(draft)?;
    let act = act_of(draft, all, transfer)?;
    if draft.body.payee.is_some() && act == Act::Nothing {
        return Err(draft.section.mistake("payee", "means nothing here: no order of this route counts".into()));
    }
    warn_of_key(draft, &act);
    warn_of_lists(draft, &act);
    let earlier = earlier_amounts(draft, all, transfer);
    let is_inspected = is_inspected(draft, &act, &earlier, all);
    let post = draft.methods.is_empty() || draft.methods == [Method::POST];
    let treatment = if is_inspected {
        if !post {
            return Err(draft.section.mistake("method", "must be \"POST\": only its bodies are inspected".into()));
        }
        compare(draft, &act, all)?;
        commits_alone(draft, &act, all, transfer)?;
        let rules = BodyRules::new(body::Settings { earlier, ..draft.body.clone() })
            .map_err(|unusable| draft.section.mistake("name", format!("{}: {unusable}", draft.name)))?;
        let max_body = draft.max_body.and_then(|max| usize::try_from(max).ok()).unwrap_or(MAX_BODY);
        if act != Act::Nothing && needs_success(&act) && draft.markers.success.is_none() {
            return Err(draft.section.mistake("success", "is missing: nothing would tell that it was done".into()));
        }
        let (login, markers) = (draft.login.clone(), draft.markers.clone());
        Treatment::Inspected(Box::new(InspectionRules { rules, max_body, login, act, markers }))
    } else {
        let has_markers = draft.markers.success.is_some() || !draft.markers.failure.is_empty();
        let markers = has_markers.then(|| Box::new(draft.markers.clone()));
        let file = matches!(draft.class, Class::Bulk | Class::Payroll).then_some(MAX_FILE);
        Treatment::Streamed { max_body: draft.max_body.or(file), markers }
    };
    let methods = if is_inspected { vec![Method::POST] } else { draft.methods.clone() };
    let (name, path) = (draft.name.as_str().into(), draft.path.clone());
    let is_exempt = is_exempt(draft, transfer);
    Ok(Route { name, number: 0, methods, path, class: draft.class, is_exempt, treatment })
}

/// Whether bodies must be read: because they bring money, or only to tell which of the routes on the path is meant.
fn is_inspected(draft: &Draft<'_>, act: &Act, earlier: &[String], all: &[Draft<'_>]) -> bool {
    let shares = |other: &&Draft<'_>| other.path == draft.path && takes_post(other) && takes_post(draft);
    *act != Act::Nothing
        || draft.has_amount()
        || draft.login.is_some()
        || !earlier.is_empty()
        || draft.body.fields.is_some()
        || !draft.body.fixed.is_empty()
        || all.iter().filter(shares).any(|other| !other.body.parameters.is_empty())
}

fn takes_post(draft: &Draft<'_>) -> bool {
    draft.methods.is_empty() || draft.methods.contains(&Method::POST)
}

/// Routes on one path differ in their parameters and in nothing else that matters before the body is read.
fn compare(draft: &Draft<'_>, act: &Act, all: &[Draft<'_>]) -> Read<()> {
    let dispatch = |draft: &Draft<'_>| Dispatch::new(draft.body.format.media, draft.body.parameters.clone()).ok();
    let own = dispatch(draft);
    let shares = |other: &&Draft<'_>| other.name != draft.name && other.path == draft.path && takes_post(other);
    for other in all.iter().filter(shares) {
        let is_rival = other.methods == draft.methods || other.methods.contains(&Method::POST);
        if is_rival && other.body.parameters == draft.body.parameters {
            let text = format!("nothing tells it from {}: they share path, method and parameters", other.name);
            return Err(draft.section.mistake("parameters", text));
        }
        // Whoever adds a button to a form chooses its route: not away from one that counts.
        let narrows = own.as_ref().zip(dispatch(other)).is_some_and(|(own, other)| other.narrows(own));
        if (*act != Act::Nothing || draft.login.is_some()) && narrows {
            let text = format!(
                "needs one that {} does not have: a customer could add those of {0}, and this would count for nothing",
                other.name
            );
            return Err(draft.section.mistake("parameters", text));
        }
        let same = other.body.format == draft.body.format && other.max_body == draft.max_body;
        if !same {
            let text =
                format!("{} on the same path has another content-type, charset, max-fields or max-body", other.name);
            return Err(draft.section.mistake("path", text));
        }
    }
    Ok(())
}
