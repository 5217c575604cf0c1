//! Who a certificate says its holder is: IDN-01 to IDN-03, A11, A12.

use crate::support::TestGateway;
use crate::support::der::{self, COMMON_NAME, ORGANIZATION, Text, UNIT};
use crate::support::pki::{EDITION, INSTITUTION, subject, subject_with};

fn common_name(login_id: &str) -> String {
    format!("{INSTITUTION} ANSER SERVICE {login_id} ~")
}

fn utf8(text: &str) -> Text {
    Text::Utf8(text.into())
}

/// A subject of the shipped O and OU and whatever RDNs follow.
fn with_rdns(rest: &[&[(&str, Text)]]) -> Vec<u8> {
    let organization = [(ORGANIZATION, utf8(INSTITUTION))];
    let unit = [(UNIT, utf8(EDITION))];
    let mut rdns: Vec<&[(&str, Text)]> = vec![&organization, &unit];
    rdns.extend(rest);
    der::name(&rdns)
}

/// The three names of a subject, each in one RDN.
fn plain(organization: Text, unit: Text, common_name: Text) -> Vec<u8> {
    der::name(&[&[(ORGANIZATION, organization)], &[(UNIT, unit)], &[(COMMON_NAME, common_name)]])
}

async fn assert_mismatches(table: Vec<(&str, Vec<u8>)>) {
    let gateway = TestGateway::spawn().await;
    for (what, subject) in table {
        println!("{what}");
        let identity = gateway.pki.issuing.certificate().subject(subject).issue();
        gateway.assert_refused(&gateway.customer(&identity), "subject_mismatch").await;
    }
    gateway.assert_backend_untouched();
}

#[tokio::test]
async fn every_encoding_of_the_right_name_is_the_right_name() {
    let gateway = TestGateway::spawn().await;
    let name = common_name("hanakodt");
    let printable = |text: &str| Text::Printable(text.into());
    let bmp = |text: &str| Text::Bmp(text.into());
    let teletex = |text: &str| Text::Teletex(text.into());
    let table = [
        ("UTF8String", subject("hanakodt")),
        ("BMPString", plain(bmp(INSTITUTION), bmp(EDITION), bmp(&name))),
        ("TeletexString", plain(teletex(INSTITUTION), teletex(EDITION), teletex(&name))),
        ("mixed", plain(printable(INSTITUTION), bmp(EDITION), teletex(&name))),
        ("other attributes beside", with_rdns(&[&[("2.5.4.6", printable("JP"))], &[(COMMON_NAME, utf8(&name))]])),
    ];
    for (what, subject) in table {
        println!("{what}");
        let identity = gateway.pki.issuing.certificate().subject(subject).issue();
        gateway.assert_served(&gateway.customer(&identity)).await;
        assert_eq!(gateway.backend.last().header("X-Login-Id").as_deref(), Some("hanakodt"), "{what}");
    }
}

/// A11: a valid certificate of another institution under the shared authority, with the victim's login ID.
#[tokio::test]
async fn certificates_of_other_institutions_are_nobodys() {
    let name = || utf8(&common_name("hanakodt"));
    assert_mismatches(vec![
        ("another institution", plain(utf8("MIDORI SHINKUMI"), utf8(EDITION), name())),
        ("another edition", plain(utf8(INSTITUTION), utf8("OOZORA SHINKUMI for Personal Edition"), name())),
        ("O in another case", plain(utf8("Oozora Shinkumi"), utf8(EDITION), name())),
        ("O with a trailing blank", plain(utf8("OOZORA SHINKUMI "), utf8(EDITION), name())),
        ("O with a double blank", plain(utf8("OOZORA  SHINKUMI"), utf8(EDITION), name())),
        ("O as a prefix", plain(utf8("OOZORA SHINKUMI KANSAI"), utf8(EDITION), name())),
        ("no OU", der::name(&[&[(ORGANIZATION, utf8(INSTITUTION))], &[(COMMON_NAME, name())]])),
        ("no O", der::name(&[&[(UNIT, utf8(EDITION))], &[(COMMON_NAME, name())]])),
        ("O and OU swapped", plain(utf8(EDITION), utf8(INSTITUTION), name())),
        (
            "two O",
            der::name(&[
                &[(ORGANIZATION, utf8("MIDORI SHINKUMI"))],
                &[(ORGANIZATION, utf8(INSTITUTION))],
                &[(UNIT, utf8(EDITION))],
                &[(COMMON_NAME, name())],
            ]),
        ),
        ("two OU", with_rdns(&[&[(UNIT, utf8("x"))], &[(COMMON_NAME, name())]])),
        ("the same OU twice", with_rdns(&[&[(UNIT, utf8(EDITION))], &[(COMMON_NAME, name())]])),
    ])
    .await;
}

/// A12: subjects with two readings.
#[tokio::test]
async fn a_subject_with_two_readings_is_nobodys() {
    let good = common_name("hanakodt");
    let other = common_name("tarokodt");
    assert_mismatches(vec![
        ("no CN", with_rdns(&[])),
        ("two CNs", with_rdns(&[&[(COMMON_NAME, utf8(&good))], &[(COMMON_NAME, utf8(&other))]])),
        ("the same CN twice", with_rdns(&[&[(COMMON_NAME, utf8(&good))], &[(COMMON_NAME, utf8(&good))]])),
        ("two CNs in one RDN", with_rdns(&[&[(COMMON_NAME, utf8(&good)), (COMMON_NAME, utf8(&other))]])),
        ("CN and serialNumber in one RDN", with_rdns(&[&[(COMMON_NAME, utf8(&good)), ("2.5.4.5", utf8("1"))]])),
        ("NUL in the middle", subject_with(utf8(&common_name("hana\0dt")))),
        ("NUL at the end", subject_with(utf8(&format!("{good}\0")))),
        ("NUL and a tail", subject_with(utf8(&format!("{good}\0.example")))),
        ("a trailing blank", subject_with(utf8(&format!("{good} ")))),
        ("a leading blank", subject_with(utf8(&format!(" {good}")))),
        ("the prefix only", subject_with(utf8(&format!("{INSTITUTION} ANSER SERVICE")))),
        ("the prefix and a blank", subject_with(utf8(&format!("{INSTITUTION} ANSER SERVICE  ~")))),
        ("extra words", subject_with(utf8(&common_name("hanakodt admin1")))),
        ("the phrase twice", subject_with(utf8(&common_name("aaaaaa ANSER SERVICE bbbbbb")))),
        ("another phrase", subject_with(utf8("OOZORA SHINKUMI ANSER Service hanakodt ~"))),
        ("no tilde", subject_with(utf8(&format!("{INSTITUTION} ANSER SERVICE hanakodt")))),
        ("behind the tilde", subject_with(utf8(&format!("{good} tarokodt")))),
        ("an empty CN", subject_with(utf8(""))),
        ("a newline", subject_with(utf8(&format!("{good}\n")))),
        ("a newline before", subject_with(utf8(&format!("x\n{good}")))),
    ])
    .await;
}

/// What decodes to something else than it looks like, or not at all.
#[tokio::test]
async fn homoglyphs_and_broken_encodings_are_nobodys() {
    let homoglyph = common_name("hanakodt").replacen('O', "\u{39f}", 1);
    let cyrillic = common_name("h\u{430}nakodt");
    let latin = |text: &str| Text::Teletex(text.bytes().map(|byte| if byte == b'~' { 0xe9 } else { byte }).collect());
    let mut odd = der::name(&[&[(ORGANIZATION, utf8(INSTITUTION))], &[(UNIT, utf8(EDITION))]]);
    let attribute = der::sequence(&[der::oid(COMMON_NAME), der::tlv(0x1e, b"\0h\0a\0n\0a\0k\0o\0d\0t\0")]);
    odd.extend(der::set(&[attribute]));
    let odd = der::tlv(0x30, &odd[2..]);
    let surrogate: Vec<u8> =
        common_name("hanakodt").encode_utf16().chain([0xd800]).flat_map(u16::to_be_bytes).collect();
    let raw = |tag: u8, content: &[u8]| {
        let attribute = |kind: &str, value: Vec<u8>| der::set(&[der::sequence(&[der::oid(kind), value])]);
        der::sequence(&[
            attribute(ORGANIZATION, der::tlv(0x0c, INSTITUTION.as_bytes())),
            attribute(UNIT, der::tlv(0x0c, EDITION.as_bytes())),
            attribute(COMMON_NAME, der::tlv(tag, content)),
        ])
    };
    let table = vec![
        ("a Greek Omicron in a BMPString", subject_with(Text::Bmp(homoglyph.clone()))),
        ("a Greek Omicron in a UTF8String", subject_with(utf8(&homoglyph))),
        ("a Cyrillic a in the login ID", subject_with(Text::Bmp(cyrillic))),
        ("TeletexString beyond ASCII", subject_with(latin(&common_name("hanakodt")))),
        ("UTF8String of invalid UTF-8", raw(0x0c, &[common_name("hanakodt").as_bytes(), b"\xff"].concat())),
        ("BMPString with a lone surrogate", raw(0x1e, &surrogate)),
        ("an OCTET STRING", raw(0x04, common_name("hanakodt").as_bytes())),
        ("an INTEGER", raw(0x02, common_name("hanakodt").as_bytes())),
        (
            "Shift_JIS in a TeletexString",
            subject_with(Text::Teletex(b"OOZORA SHINKUMI ANSER SERVICE \x89\xd4\x8e\x71 ~".to_vec())),
        ),
    ];
    assert_mismatches(table).await;
    // An odd number of octets in a BMPString is not even a subject; which word refuses it does not matter.
    let gateway = TestGateway::spawn().await;
    gateway.customer(&gateway.pki.issuing.certificate().subject(odd).issue()).expect_refusal().await;
    gateway.assert_backend_untouched();
}

#[tokio::test]
async fn login_ids_have_six_to_twelve_visible_characters() {
    let bad = [
        "5five",
        "thirteenchars",
        "",
        "with blank",
        "ｈａｎａｋｏｄｔ",
        "はなこはなこ",
        "ﾊﾅｺﾊﾅｺﾊﾅ",
        "hana\tkodt",
        "hana\u{7f}kod",
        "hanakó01",
        "hana\u{200b}kodt",
        "hana\rkodt",
    ];
    assert_mismatches(bad.iter().map(|id| (*id, subject(id))).collect()).await;

    let gateway = TestGateway::spawn().await;
    for good in
        ["sixsix", "twelvetwelve", "HanaKo01", "a.b_c-d", "!#$%&'()*+,/", ":;<=>?@[\\]^", "\"quoted\"", "{|}`a1"]
    {
        gateway.assert_served(&gateway.enrol(good)).await;
        assert_eq!(gateway.backend.last().header("X-Login-Id").as_deref(), Some(good));
    }
}

/// Two institutions share the authority; each gateway takes its own.
#[tokio::test]
async fn an_institution_without_units_in_its_layout_compares_the_rest() {
    let layer = "[identity]\norganization = \"MIDORI SHINKUMI\"\ncommon-name = [\"MIDORI {login-id}\"]";
    let gateway = TestGateway::builder().layer(layer).spawn().await;
    let theirs = plain(utf8("MIDORI SHINKUMI"), utf8(EDITION), utf8("MIDORI hanakodt"));
    gateway.assert_served(&gateway.customer(&gateway.pki.issuing.certificate().subject(theirs).issue())).await;
    gateway.assert_refused(&gateway.enrol("hanakodt"), "subject_mismatch").await;
}
