//! Who a certificate says its holder is: O, OU and CN against the institution's templates.

use regex::Regex;

/// `[identity]`: the institution's subject layout, compiled.
#[derive(Debug, Clone)]
pub struct SubjectRules {
    organization: Option<String>,
    organizational_unit: Option<String>,
    templates: Vec<Template>,
}

#[derive(Debug, Clone)]
struct Template {
    greedy: Regex,
    lazy: Regex,
}

/// Why a subject layout cannot be used; the text names the part at fault.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct LayoutMistake(pub String);

impl SubjectRules {
    /// Compiles a layout. `organization` and `organizational_unit` that are `None` are not compared.
    pub fn new(
        organization: Option<String>,
        organizational_unit: Option<String>,
        common_names: &[String],
        login_id: &str,
    ) -> Result<Self, LayoutMistake> {
        let _ = (&organization, &organizational_unit, common_names, login_id);
        todo!()
    }
}
