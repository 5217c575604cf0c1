//! The registry on the command line, and its files.

use serde_json::{Value, json};

use crate::support::TestGateway;
use crate::support::desk::{records, sekisho};
use crate::support::registry::{ENFORCE, order};

#[tokio::test]
async fn operators_keep_the_registry_on_the_command_line() {
    let gateway = TestGateway::builder().layer(ENFORCE).spawn().await;
    let identity = gateway.pki.issuing.certificate().login_id("hanakodt").serial(0x0a1b).issue();
    gateway.write("hanako.pem", identity.pem());
    let run = async |arguments: &[&str]| sekisho(&gateway, &[arguments, &["--reason", "ticket 4711"]].concat()).await;

    let said =
        run(&["contract", "add", "tanaka", "--name", "田中商店", "--access", "certificate-from=2099-12-01"]).await;
    assert!(said.well().contains("certificate-from=2099-12-01  田中商店"));
    assert!(run(&["contract", "add", "tanaka"]).await.failed().contains("there is a contract tanaka already"));
    assert!(
        run(&["contract", "add-id", "ito", "hanakodt", "--role", "general"]).await.failed().contains("no contract ito")
    );
    run(&["contract", "add-id", "tanaka", "hanakodt", "--role", "administrator"]).await.well();
    let added = run(&["certificate", "add", "hanako.pem"]).await.well();
    assert!(added.contains("login id    hanakodt") && added.contains("serial      0a1b"), "{added}");

    let shown = sekisho(&gateway, &["contract", "show", "tanaka"]).await.well();
    let sha256 = sekisho(&gateway, &["certificate", "list", "--json"]).await.well();
    let sha256: Value = serde_json::from_str(&sha256).unwrap();
    let sha256 = sha256["sha256"].as_str().unwrap().to_owned();
    assert!(shown.contains("administrator") && shown.contains(&sha256), "{shown}");
    for arguments in [&["--login-id", "hanakodt"][..], &["--contract", "tanaka"], &["--limit", "1"]] {
        let listed = sekisho(&gateway, &[&["certificate", "list"], arguments].concat()).await.well();
        assert!(listed.contains("hanakodt  active  0a1b"), "{listed}");
    }
    assert!(sekisho(&gateway, &["contract", "list"]).await.well().contains("tanaka            1  "));

    run(&["certificate", "retire", &sha256]).await.well();
    assert!(run(&["certificate", "retire", &sha256]).await.failed().contains("retired already"));
    assert!(run(&["contract", "remove", "tanaka"]).await.failed().contains("still has 1 login IDs"));
    run(&["contract", "remove-id", "hanakodt"]).await.well();
    assert!(run(&["contract", "remove", "tanaka"]).await.failed().contains("it stays until then"));
    assert!(sekisho(&gateway, &["contract", "show", "ito"]).await.failed().contains("there is no contract ito"));

    let log = gateway.path("state/audit.jsonl");
    let acts = ["contract_added", "login_id_put", "certificate_registered", "certificate_retired", "login_id_removed"];
    for act in acts {
        let record = records(&log, act).swap_remove(0);
        assert_eq!(record["event.reason"], "ticket 4711", "{act}");
        assert!(record["sekisho.operator"].as_str().unwrap().starts_with("hana (uid "));
    }
    assert_eq!(gateway.operator.metric("sekisho_registered", &[("kind", "certificate")]).await, 1.0);
}

#[tokio::test]
async fn a_file_is_imported_whole_or_not_at_all_and_comes_back_as_it_was() {
    let gateway = TestGateway::builder().layer(ENFORCE).spawn().await;
    let run = async |arguments: &[&str]| sekisho(&gateway, &[arguments, &["--reason", "go live"]].concat()).await;
    let csv = "contract,name,access,login_id,role\r\n\
               tanaka,\"田中商店, 本店\",certificate,tanaka01,administrator\r\n\
               tanaka,,,tanaka02,approver\r\n\
               ito,,,,\r\n";
    gateway.write("contracts.csv", csv);
    let identity = gateway.pki.issuing.customer("tanaka01");

    gateway.write("bad.csv", csv.replace("approver", "boss").replace("ito,,,,", "i to,,,,"));
    let told = run(&["contract", "import", "bad.csv"]).await.failed();
    assert!(
        told.contains("line 3: \"role\" is \"boss\"") && told.contains("line 4: \"contract\" is \"i to\""),
        "{told}"
    );
    assert_eq!(sekisho(&gateway, &["contract", "list"]).await.well(), "there is no contract\n", "nothing was imported");

    assert!(run(&["contract", "import", "contracts.csv"]).await.well().starts_with("3 lines imported, 3 of them"));
    assert!(run(&["contract", "import", "contracts.csv"]).await.well().contains("0 of them changed"));
    order(&gateway, "/certificates", json!({ "pem": identity.pem() })).await;
    gateway.assert_served(&gateway.customer(&identity)).await;

    for format in ["jsonl", "csv"] {
        let other = TestGateway::builder().layer(ENFORCE).pki(&gateway.pki).spawn().await;
        for kind in ["contract", "certificate"] {
            let copy = sekisho(&gateway, &[kind, "export", "--format", format]).await.well();
            let file = format!("copy.{format}");
            other.write(&file, &copy);
            let imported = sekisho(&other, &[kind, "import", &file, "--reason", "a copy"]).await.well();
            assert!(imported.contains("lines imported"), "{imported}");
            assert_eq!(sekisho(&other, &[kind, "export", "--format", format]).await.well(), copy);
        }
        other.assert_served(&other.customer(&identity)).await;
    }
    let record = records(&gateway.path("state/audit.jsonl"), "registry_imported").swap_remove(0);
    // The attempt that failed stands there too.
    assert_eq!((&record["event.outcome"], &record["sekisho.count"]), (&json!("failure"), &Value::Null));
}
