//! Files of the registry: what is read, and what is wrong with what is not.

use jiff::Timestamp;
use tempfile::TempDir;

use super::file::{Imported, Kind, Permissions, import};
use crate::domain::{ContractId, LoginId};
use crate::operator::control::export::Format;
use crate::operator::metrics::Metrics;
use crate::store::registry::{ActError, Registry};

const STRICT: Permissions = Permissions { may_move: false, supersede: false };
const SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn registry(directory: &TempDir) -> Registry {
    let metrics = Metrics::new([].iter()).unwrap();
    Registry::open(directory.path().join("registry.redb"), false, &metrics).unwrap()
}

fn read(registry: &Registry, what: (Kind, Format), text: &[u8]) -> Result<Imported, String> {
    let now: Timestamp = "2026-11-02T03:00:00Z".parse().unwrap();
    let act = registry.act(now, |draft| {
        import(draft, what, text, STRICT).map_err(|mistakes| ActError::Mistaken(mistakes.to_string()))
    });
    act.map_err(|error| error.to_string())
}

/// What is wrong with a file, line by line.
fn wrong(what: (Kind, Format), text: &[u8]) -> Vec<String> {
    let directory = TempDir::new().unwrap();
    let registry = registry(&directory);
    let told = read(&registry, what, text).expect_err("it is wrong");
    assert_eq!(registry.index().sizes(), Default::default(), "nothing was imported");
    told.lines().skip(1).map(str::to_owned).collect()
}

fn certificate(login_id: &str, sha256: &str) -> String {
    let dates = r#""not_before":"2026-01-01T00:00:00Z","not_after":"2027-01-01T00:00:00Z""#;
    format!(r#"{{"login_id":"{login_id}","sha256":"{sha256}","serial":"0A1B","issuer":"CN=CA",{dates}}}"#)
}

#[test]
fn a_file_is_read_as_people_and_spreadsheets_write_it() {
    for text in [
        "contract,login_id,role\ntanaka,hanakodt,general\n",
        "\u{feff}role,contract,login_id\r\ngeneral,tanaka,hanakodt\r\n",
        "contract,name,access,login_id,role\n\"tanaka\",\"田中, \"\"本店\"\"\",certificate,hanakodt,general",
    ] {
        let directory = TempDir::new().unwrap();
        let registry = registry(&directory);
        let imported = read(&registry, (Kind::Contracts, Format::Csv), text.as_bytes()).unwrap();
        assert_eq!(imported, Imported { lines: 1, changed: 1 }, "{text}");
        let id = LoginId::parse("hanakodt").unwrap();
        assert_eq!(registry.index().place(&id).unwrap().0, &ContractId::parse("tanaka").unwrap());
    }
    let directory = TempDir::new().unwrap();
    let registry = registry(&directory);
    let lines = "{\"contract\":\"tanaka\"}\n\n{\"contract\":\"tanaka\",\"name\":null,\"login_id\":\"a\",\"role\":\"approver\"}\r\n";
    let imported = read(&registry, (Kind::Contracts, Format::JsonLines), lines.as_bytes()).unwrap();
    assert_eq!(imported, Imported { lines: 2, changed: 2 });
    let certificates = format!("{}\n{}", certificate("a", SHA256), certificate("b", &SHA256.replace('e', "f")));
    let imported = read(&registry, (Kind::Certificates, Format::JsonLines), certificates.as_bytes()).unwrap();
    assert_eq!(imported, Imported { lines: 2, changed: 2 });
    let again = read(&registry, (Kind::Certificates, Format::JsonLines), certificates.as_bytes()).unwrap();
    assert_eq!(again, Imported { lines: 2, changed: 0 });
}

#[test]
fn each_mistake_of_a_csv_file_is_told_with_its_line() {
    let csv = (Kind::Contracts, Format::Csv);
    for end in ["\n", "\r\n"] {
        for (line, why) in [
            ("tana ka,,,,", "\"contract\" is \"tana ka\""),
            (",,,,", "\"contract\" is missing"),
            ("tanaka,,Certificate,,", "\"access\" is \"Certificate\""),
            ("tanaka,,certificate-from=2026-02-30,,", "\"access\" is"),
            ("tanaka,,,hanakodt,", "no role"),
            ("tanaka,,,,general", "no login ID"),
            ("tanaka,,,ｈａｎａｋｏ,general", "\"login_id\" is"),
            ("tanaka,,,hanakodt,General", "\"role\" is"),
            ("tanaka,a\tb,,,", "\"name\" is"),
            ("tanaka,,,hanakodt", "it has 4 fields, and the header 5"),
            ("tanaka,,,'=1+2,general", "apostrophe"),
            ("tanaka,,,first,general", "first stands in line 2 already"),
            ("suzuki,,,first,general", "first stands in line 2 already"),
            ("tanaka,another,,,", "line 2 says another name"),
            ("tanaka,,password,,", "line 2 says another access"),
        ] {
            let rest = format!("{line}{end}ito,,,jiro,general{end}");
            let header = "contract,name,access,login_id,role";
            let text = format!("{header}{end}tanaka,田中,certificate,first,general{end}{rest}");
            let told = wrong(csv, text.as_bytes());
            assert_eq!(told.len(), 1, "{line}: {told:?}");
            assert!(told[0].starts_with("line 3: ") && told[0].contains(why), "{line}: {told:?}");
        }
    }
    assert!(wrong(csv, b"contract,company\ntanaka,x\n")[0].starts_with("line 1: \"company\" is no field"));
    assert!(wrong(csv, b"contract\n\xff\xfe\ntanaka\n")[0].contains("line 2: it is not UTF-8"));
    assert_eq!(wrong(csv, b""), ["line 1: there is nothing in the file"]);
    assert_eq!(wrong(csv, b"contract\n"), ["line 1: there is nothing in the file"]);
}

#[test]
fn each_mistake_of_json_lines_is_told_with_its_line() {
    let good = certificate("hanakodt", SHA256);
    for (line, why) in [
        ("[]".into(), "no JSON object"),
        ("{".into(), "no JSON object"),
        (r#"{"login_id":1}"#.into(), "\"login_id\" is no text"),
        (good.replace("\"login_id\":\"hanakodt\",", ""), "\"login_id\" is missing"),
        (good.replace("login_id", "id"), "\"id\" is not known"),
        (good.replace("0A1B", "0"), "\"serial\" is \"0\""),
        (good.replace(SHA256, &SHA256[1..]), "\"sha256\" is"),
        (good.replace("2027-01-01T00:00:00Z", "2027-01-01"), "\"not_after\" is"),
        (good.replace("2027", "2025"), "ends before it begins"),
        (good.replace("CN=CA", " "), "\"issuer\" is"),
        (good.replace("{\"", "{\"colour\":\"red\",\""), "\"colour\" is not known"),
        (good.replace("{\"", "{\"state\":\"revoked\",\""), "\"state\" is"),
        (good.replace("hanakodt", "tarokodt"), "stands in line 1 already"),
        (good.replace(SHA256, &SHA256.replace('e', "f")), "say --supersede"),
    ] {
        let told = wrong((Kind::Certificates, Format::JsonLines), format!("{good}\n{line}\n").as_bytes());
        assert_eq!(told.len(), 1, "{line}: {told:?}");
        assert!(told[0].starts_with("line 2: ") && told[0].contains(why), "{line}: {told:?}");
    }
}

#[test]
fn of_many_mistakes_a_hundred_are_told() {
    let lines = "{}\n".repeat(250);
    let told = wrong((Kind::Contracts, Format::JsonLines), lines.as_bytes());
    assert_eq!((told.len(), told[100].as_str()), (101, "and 150 more"));
}
