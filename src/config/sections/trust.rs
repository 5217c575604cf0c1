//! `[trust]` and `[identity]`: whose certificates count, and what their subjects must say.

use std::path::PathBuf;
use std::time::Duration;

use rustls::pki_types::CertificateDer;

use crate::config::files;
use crate::config::mistake::Read;
use crate::config::section::Section;
use crate::config::units::{Given, choice, duration, text};
use crate::connection::identity::SubjectRules;
use crate::connection::trust::{self, Part, RegistryMode, Settings};

/// Longer, and an expired list is no list.
const MAX_GRACE: Duration = Duration::from_secs(30 * 86_400);

/// Reads `[trust]`.
pub(in crate::config) fn read_trust(mut section: Section<'_>) -> Read<Settings> {
    let path = section.path();
    let authority_files = section.required_list("ca", &path);
    let crl_paths = section.required_list("crl", &path);
    let crl_grace = section.or("crl-grace", Duration::ZERO, duration(Duration::ZERO..=MAX_GRACE));
    let modes =
        [("off", RegistryMode::Off), ("learn-first", RegistryMode::LearnFirst), ("enforce", RegistryMode::Enforce)];
    let registry = section.or("registry", RegistryMode::Off, choice(&modes));

    let authorities = authority_files.and_then(|paths| load_authorities(&section, &paths));
    let present = crl_paths.as_deref().map(|paths| present(&section, paths)).unwrap_or_default();
    let settings = authorities.map(|authorities| Settings {
        authorities,
        crl_sources: present,
        crl_grace: crl_grace.unwrap_or_default(),
        registry: registry.unwrap_or_default(),
    });
    if let (Ok(settings), Ok(paths)) = (&settings, &crl_paths) {
        check_lists(&section, settings, paths);
    }
    section.finish();
    // The settings are only as good as the keys they come from.
    crl_paths.and(crl_grace).and(registry).and(settings)
}

/// Loads every CA. Each file is checked by itself, so that a mistake names the file.
fn load_authorities(section: &Section<'_>, paths: &[PathBuf]) -> Read<Vec<CertificateDer<'static>>> {
    let load = |(index, path): (usize, &PathBuf)| {
        section.watch(path);
        let key = format!("ca[{index}]");
        let authorities = files::certificates(path).map_err(|defect| section.defect(&key, &defect))?;
        let (crl_sources, crl_grace, registry) = (Vec::new(), Duration::ZERO, RegistryMode::Off);
        let alone = Settings { authorities, crl_sources, crl_grace, registry };
        let mistakes =
            trust::check(&alone, section.context.clock).into_iter().filter(|mistake| mistake.part == Part::Ca);
        let noted = mistakes
            .fold(None, |_, mistake| Some(section.mistake(&key, format!("{}: {}", path.display(), mistake.text))));
        noted.map_or(Ok(alone.authorities), Err)
    };
    let loaded: Vec<Read<Vec<CertificateDer<'static>>>> = paths.iter().enumerate().map(load).collect();
    Ok(loaded.into_iter().collect::<Read<Vec<_>>>()?.concat())
}

/// Checks the revocation lists that are there against CAs that are good.
fn check_lists(section: &Section<'_>, settings: &Settings, paths: &[PathBuf]) {
    let complete = settings.crl_sources.len() == paths.len();
    for mistake in trust::check(settings, section.context.clock) {
        let Some(file) = mistake.file else {
            // With a file missing, that the CA has no list is its consequence and no second mistake.
            if complete {
                section.mistake("crl", mistake.text);
            }
            continue;
        };
        let source = paths.iter().position(|path| file.starts_with(path));
        let key = source.map_or_else(|| "crl".to_owned(), |index| format!("crl[{index}]"));
        section.mistake(&key, format!("{}: {}", file.display(), mistake.text));
    }
}

/// Those revocation lists and directories of them that can be opened.
fn present(section: &Section<'_>, paths: &[PathBuf]) -> Vec<PathBuf> {
    let openable = |(index, path): (usize, &PathBuf)| {
        section.watch_list(path);
        match files::exists(path) {
            Ok(()) => Some(path.clone()),
            Err(defect) => {
                section.defect(&format!("crl[{index}]"), &defect);
                None
            }
        }
    };
    paths.iter().enumerate().filter_map(openable).collect()
}

/// Reads `[identity]`.
pub(in crate::config) fn read_identity(mut section: Section<'_>) -> Read<SubjectRules> {
    let organization = section.optional("organization", text);
    let organizational_unit = section.optional("organizational-unit", text);
    for key in ["organization", "organizational-unit"] {
        if !section.has(key) {
            section.warn(key, "not compared: a certificate with any will do".into());
        }
    }
    let common_names = section.required_list("common-name", text);
    for (index, template) in common_names.iter().flatten().enumerate() {
        if template.ends_with("{*}") {
            let text = format!("{template:?} ends in {{*}}: whatever stands there does not matter");
            section.warn(&format!("common-name[{index}]"), text);
        }
    }
    let login_id = section.required("login-id", pattern);
    let rules = compile(&section, common_names, login_id, organization, organizational_unit);
    section.finish();
    rules
}

/// A regular expression that is whole by itself: `a)|(b` would break out of the group it is put into.
fn pattern(given: Given<'_>) -> Result<String, String> {
    let pattern = text(given)?;
    match regex::Regex::new(&pattern) {
        Ok(_) => Ok(pattern),
        Err(_) => Err(format!("is {pattern:?}, which is not a regular expression")),
    }
}

/// Compiles the layout, after each template by itself, so that one bad template does not hide the next.
fn compile(
    section: &Section<'_>,
    common_names: Read<Vec<String>>,
    login_id: Read<String>,
    organization: Read<Option<String>>,
    organizational_unit: Read<Option<String>>,
) -> Read<SubjectRules> {
    let (common_names, login_id) = (common_names?, login_id?);
    let alone = |(index, template): (usize, &String)| {
        let rules = SubjectRules::new(None, None, std::slice::from_ref(template), &login_id);
        rules.map_err(|mistake| match mistake.0.split_once(": ") {
            Some(("login-id", text)) => section.mistake("login-id", text.to_owned()),
            Some((_, text)) => section.mistake(&format!("common-name[{index}]"), text.to_owned()),
            None => section.mistake("common-name", mistake.0),
        })
    };
    let alone: Vec<Read<SubjectRules>> = common_names.iter().enumerate().map(alone).collect();
    alone.into_iter().collect::<Read<Vec<SubjectRules>>>()?;
    SubjectRules::new(organization?, organizational_unit?, &common_names, &login_id)
        .map_err(|mistake| section.mistake("common-name", mistake.0))
}
