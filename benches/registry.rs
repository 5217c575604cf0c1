//! What a large registry costs: to fill, to hold, to look into, to open.
//!
//! ```sh
//! cargo bench --bench registry -- DIRECTORY [LOGIN_IDS]
//! ```
//!
//! A DIRECTORY that does not exist is made and filled: each login ID has a certificate, three of them are a contract. One that
//! exists is opened: memory is told then, of a process that has done nothing else.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context as _;
use jiff::Timestamp;
use sekisho::domain::{ContractId, Fingerprint, LoginId, Role, Serial};
use sekisho::operator::metrics::Metrics;
use sekisho::store::registry::{Access, ActError, Certificate, Login, Name, Registered, Registry, State};

/// Look-ups that one figure is the mean of.
const LOOKS: u32 = 1_000_000;

fn main() -> anyhow::Result<()> {
    // Cargo adds a flag of its own.
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with('-'));
    let Some(directory) = arguments.next().map(PathBuf::from) else {
        // As one of all benches it has nothing to measure on.
        println!("registry: DIRECTORY [LOGIN_IDS]");
        return Ok(());
    };
    let count: u32 = arguments.next().map_or(Ok(1_000_000), |count| count.parse())?;
    let (is_new, file) = (!directory.exists(), directory.join("registry.redb"));
    std::fs::create_dir_all(&directory)?;
    let metrics = Metrics::new(std::iter::empty())?;
    let empty = resident()?;
    let begun = Instant::now();
    let registry = Registry::open(file.clone(), false, &metrics)?;
    if is_new {
        let begun = Instant::now();
        fill(&registry, count)?;
        println!("{count} login IDs and certificates in one act: {:.1} s", begun.elapsed().as_secs_f64());
    } else {
        println!("opened in {:.1} s, file {} MB", begun.elapsed().as_secs_f64(), file.metadata()?.len() >> 20);
        println!("memory: {} MB more than without it", resident()?.saturating_sub(empty) >> 20);
    }

    let index = registry.index();
    let mut found = 0;
    let begun = Instant::now();
    for look in 0..LOOKS {
        // A prime, so that each look goes elsewhere.
        let number = look.wrapping_mul(2_654_435_761) % count;
        let known = login_id(number).zip(fingerprint(number)).context("a name")?;
        let is_own = index.registered(&known.1, &known.0) == Registered::Active;
        found += u32::from(is_own && index.membership(&known.0).is_some());
    }
    anyhow::ensure!(found == LOOKS, "{found} of {LOOKS} were found");
    let each = begun.elapsed() / LOOKS;
    println!("a certificate and its membership, with making their names: {} ns", each.as_nanos());

    let begun = Instant::now();
    let page = registry.certificates_after(None, 1_000)?;
    println!("a page of {} certificates: {:.1} ms", page.len(), begun.elapsed().as_secs_f64() * 1e3);
    let id = ContractId::parse(&format!("new{}", std::process::id())).context("a contract")?;
    let begun = Instant::now();
    registry.act(Timestamp::now(), |draft| draft.add_contract(id, None, Access::Password))?;
    println!("one act, on the disk: {:.1} ms", begun.elapsed().as_secs_f64() * 1e3);
    Ok(())
}

fn fill(registry: &Registry, count: u32) -> Result<(), ActError> {
    registry.act(Timestamp::now(), |draft| {
        for number in 0..count {
            let contract = contract(number).ok_or(ActError::Mistaken("a contract".into()))?;
            draft.put_contract(contract.clone(), None, Some(Access::Certificate));
            let id = login_id(number).ok_or(ActError::Mistaken("a login ID".into()))?;
            draft.put_login(Login { id, contract, role: Role::General }, false)?;
            draft.register(certificate(number).ok_or(ActError::Mistaken("a certificate".into()))?, false)?;
        }
        Ok(())
    })
}

fn contract(number: u32) -> Option<ContractId> {
    ContractId::parse(&format!("c{:07}", number / 3))
}

fn login_id(number: u32) -> Option<LoginId> {
    LoginId::parse(&format!("u{number:07}"))
}

fn fingerprint(number: u32) -> Option<Fingerprint> {
    Some(Fingerprint::of(&number.to_be_bytes()))
}

fn certificate(number: u32) -> Option<Certificate> {
    let sha256 = fingerprint(number)?;
    Some(Certificate {
        serial: Serial::from_der_content(&[&[0x40], &sha256.as_bytes()[..15]].concat())?,
        sha256,
        issuer: Name::parse("CN=OOZORA SHINKUMI Issuing CA, O=OOZORA SHINKUMI, C=JP")?,
        login_id: login_id(number)?,
        not_before: 1_767_225_600,
        not_after: 4_102_444_800,
        state: State::Active,
    })
}

/// The memory of this process that is resident, in octets.
fn resident() -> anyhow::Result<usize> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    let kilobytes: usize = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes << 10)
}
