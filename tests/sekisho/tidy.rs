//! The house rules that a machine can hold.

use std::path::{Path, PathBuf};

/// The modules in the order of `src/lib.rs`; imports go down this list. `operator` has two places: see [`place`].
const ORDER: [&str; 14] = [
    "cli",
    "demo",
    "gateway",
    "config",
    "operator",
    "pipeline",
    "authority",
    "upstream",
    "policy",
    "connection",
    "store",
    "refusal",
    "wire",
    "domain",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The Rust files below a directory, with their content.
fn sources(directory: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut waiting = vec![root().join(directory)];
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(path.read_dir().unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let content = std::fs::read_to_string(&path).unwrap();
            found.push((path.strip_prefix(root()).unwrap().to_owned(), content));
        }
    }
    found.sort();
    found
}

/// How far down the list something stands: the module, and for `operator` what of it.
fn place(module: &str, part: &str) -> Option<usize> {
    // What counts and records may be used by all who have something to tell; control and health look at everybody.
    if module == "operator" && ["metrics", "audit"].contains(&part) {
        return ORDER.iter().position(|name| *name == "store").map(|index| index * 2 + 1);
    }
    ORDER.iter().position(|name| *name == module).map(|index| index * 2)
}

/// The `crate::a::b` paths of a file, those in braces too.
fn imports(content: &str) -> Vec<(String, String)> {
    let path = regex::Regex::new(r"\bcrate::(\{[^;]*\}|[a-z_]+(?:::[a-z_]+)?)").unwrap();
    let word = regex::Regex::new(r"(?:^|[{,]\s*)([a-z_]+)(?:::([a-z_]+))?").unwrap();
    let code: String =
        content.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut found = Vec::new();
    for capture in path.captures_iter(&code) {
        // Braces nested in braces hold parts of what was named before them; only the outer level names modules.
        let mut depth = 0;
        let outer: String = capture[1]
            .chars()
            .filter(|letter| {
                depth += i32::from(*letter == '{') - i32::from(*letter == '}');
                depth <= 1
            })
            .collect();
        found.extend(
            word.captures_iter(&outer)
                .map(|names| (names[1].to_owned(), names.get(2).map_or("", |m| m.as_str()).to_owned())),
        );
    }
    found
}

#[test]
fn imports_go_down_only() {
    let mut wrong = Vec::new();
    for (path, content) in sources("src") {
        let parts: Vec<&str> = path.iter().skip(1).map(|part| part.to_str().unwrap()).collect();
        let module = parts[0].trim_end_matches(".rs");
        let Some(own) = place(module, parts.get(1).unwrap_or(&"").trim_end_matches(".rs")) else { continue };
        for (other, part) in imports(&content) {
            let Some(theirs) = place(&other, &part) else { continue };
            if other != module && theirs < own {
                wrong.push(format!("{} imports crate::{other}::{part}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "against the order of src/lib.rs:\n{}", wrong.join("\n"));
}

#[test]
fn only_gateway_demo_and_cli_know_the_configuration() {
    for (path, content) in sources("src") {
        let module = path.iter().nth(1).unwrap().to_str().unwrap().trim_end_matches(".rs");
        if !["gateway", "demo", "cli", "config", "main"].contains(&module) {
            let knows = imports(&content).iter().any(|(other, _)| other == "config");
            assert!(!knows, "{} imports crate::config", path.display());
        }
    }
}

#[test]
fn the_order_here_is_the_order_in_lib() {
    let lib = std::fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let flat: String = lib.lines().map(|line| line.trim_start_matches("//!").trim()).collect::<Vec<_>>().join(" ");
    let (_, list) = flat.split_once("Imports point down this list and never back:").unwrap();
    let (list, _) = list.split_once(". ").unwrap();
    let named: Vec<&str> = list.split('·').map(|name| name.trim().split(' ').next().unwrap()).collect();
    let mut expected = ORDER.to_vec();
    expected.insert(11, "operator");
    assert_eq!(named, expected);
}

#[test]
fn files_are_short_and_say_what_they_are() {
    for (path, content) in sources("src").into_iter().chain(sources("tests")).chain(sources("benches")) {
        assert!(content.starts_with("//!"), "{} does not begin with what it is", path.display());
        let lines = content.lines().count();
        assert!(lines <= 450, "{} has {lines} lines", path.display());
    }
}

#[test]
fn tests_wait_for_events_not_for_time() {
    let forbidden = ["sl", "eep("].concat();
    for (path, content) in sources("tests") {
        assert!(!content.contains(&forbidden), "{}", path.display());
        assert!(!content.contains(&["#[ign", "ore"].concat()), "{}", path.display());
    }
}

/// A stage that a later issue brings is absent, not faked.
#[test]
fn nothing_is_stubbed() {
    for (path, content) in sources("src") {
        // What a stub is written with; a word in a comment counts, because it announces one.
        for stub in ["todo!(", "unimplemented!(", "TODO", "FIXME"] {
            assert!(!content.contains(stub), "{} holds {stub}", path.display());
        }
    }
}
