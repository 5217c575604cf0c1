//! What the story needs to stand: a directory, certificates, the bank, the gateway.
//!
//! The gateway runs on the shipped `config.toml`, letter by letter. What must differ (ports that are taken, the bank's
//! address) stands in a second file laid over it, so that every command of `sekisho` works on the two.

use std::fs::{self, DirBuilder};
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener as Probe};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use data_encoding::HEXLOWER;
use tokio::net::TcpListener;
use tokio::task::spawn_blocking;

use super::Trouble;
use super::bank::Bank;
use crate::authority::development::{self, Plan};
use crate::config::Config;
use crate::domain::{Clock, LoginId};
use crate::gateway::{Gateway, Reloader};
use crate::upstream::assertion;

/// The shipped configuration.
const CONFIGURATION: &str = include_str!("../../config.toml");
/// Its listener.
const LISTENER: &str = "certificate";

/// Ports that are easy to remember, taken where they are free.
const GATEWAY_PORT: u16 = 8443;
const OPERATOR_PORT: u16 = 9900;
const BANK_PORT: u16 = 9000;

/// The stage, until it is cleared.
pub(super) struct Stage {
    gateway: Gateway,
    /// Where customers come.
    pub(super) entrance: SocketAddr,
    /// Where `/metrics` is.
    pub(super) operator: SocketAddr,
    /// What the gateway puts into the signed header, and the keys to check it.
    pub(super) assertion: assertion::Settings,
    /// The bank behind it.
    pub(super) bank: Bank,
    /// The one clock.
    pub(super) clock: Arc<dyn Clock>,
    directory: Directory,
}

impl Stage {
    /// Makes and starts everything.
    pub(super) async fn set(clock: Arc<dyn Clock>) -> Result<Self, Trouble> {
        let directory = Directory::new().map_err(Trouble::Directory)?;
        Plan::default().write(&directory.certs(), &*clock)?;
        let bank = Bank::open(listen(BANK_PORT).await.map_err(Trouble::Bank)?).map_err(Trouble::Bank)?;
        directory.write_configuration(bank.address()).map_err(Trouble::Directory)?;

        let files = directory.configuration();
        let reading_clock = Arc::clone(&clock);
        let read = move || Config::load(&files, [], &*reading_clock);
        let config = read()?;
        let assertion = config.assertion.clone();
        let reloader: Reloader = Arc::new(read);
        let gateway_clock = Arc::clone(&clock);
        let gateway = spawn_blocking(move || Gateway::start(config, gateway_clock, reloader)).await??;
        let entrance = gateway.address(LISTENER).ok_or(Trouble::Listener(LISTENER))?;
        let operator = gateway.operator_address();
        Ok(Self { gateway, entrance, operator, assertion, bank, clock, directory })
    }

    /// Stops everything and removes the directory.
    pub(super) async fn clear(self) -> Result<(), Trouble> {
        let Self { gateway, bank, directory, .. } = self;
        let drained = spawn_blocking(move || gateway.drain()).await;
        drop(bank);
        directory.remove().map_err(Trouble::Directory)?;
        Ok(drained?)
    }

    /// The bank withdraws its word for a customer: the list is replaced, and nobody tells the gateway.
    pub(super) fn revoke(&self, login_id: &LoginId) -> Result<(), development::Mistake> {
        development::revoke(&self.directory.certs(), login_id, &*self.clock).map(drop)
    }

    /// The certificates.
    pub(super) fn certs(&self) -> PathBuf {
        self.directory.certs()
    }

    /// The configuration files, in the order of `--config`.
    pub(super) fn configuration(&self) -> Vec<PathBuf> {
        self.directory.configuration()
    }

    /// Says what stands where.
    pub(super) fn introduce(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(
            out,
            "Sekisho (関所), the checkpoint in front of a bank. Everything below happens on real connections.\n"
        )?;
        writeln!(out, "  gateway   https://localhost:{}  on the shipped config.toml", self.entrance.port())?;
        writeln!(out, "  bank      http://{}    a Windows-31J site that believes X-Login-Id", self.bank.address())?;
        writeln!(out, "  operator  http://{}    /metrics /health/ready", self.operator)?;
        writeln!(out, "  files     {}    removed at the end\n", self.directory.0.display())
    }

    /// Says that the reader may try now.
    pub(super) fn invite(&self, out: &mut dyn Write) -> io::Result<()> {
        let browser = self.directory.certs().join("clients/hanakodt.p12");
        writeln!(out, "Bank and gateway stay up: paste any of the lines above into a second terminal.")?;
        writeln!(
            out,
            "For a browser, import {} (password: {}) and open https://localhost:{}/ib/menu.do",
            browser.display(),
            development::DEFAULT_PASSWORD,
            self.entrance.port()
        )?;
        writeln!(out, "Ctrl-C ends it and removes the files.")?;
        out.flush()
    }
}

/// A directory of one's own, removed when it is dropped.
struct Directory(PathBuf);

impl Directory {
    fn new() -> io::Result<Self> {
        let mut random = [0; 4];
        aws_lc_rs::rand::fill(&mut random).map_err(|_| io::Error::other("no random numbers"))?;
        let path = std::env::temp_dir().join(format!("sekisho-demo-{}", HEXLOWER.encode(&random)));
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    fn certs(&self) -> PathBuf {
        self.0.join("certs")
    }

    fn configuration(&self) -> Vec<PathBuf> {
        vec![self.0.join("config.toml"), self.0.join("demo.toml")]
    }

    fn write_configuration(&self, bank: SocketAddr) -> io::Result<()> {
        let (gateway, operator) = (free(GATEWAY_PORT), free(OPERATOR_PORT));
        let differences = format!(
            "# What `sekisho demo` changes in the shipped config.toml.\n\
             [[listener]]\nname = \"{LISTENER}\"\naddress = \"{gateway}\"\n\n\
             [upstream]\nservers = [\"http://{bank}\"]\n\n\
             [operator]\naddress = \"{operator}\"\n"
        );
        let files = self.configuration();
        files.iter().zip([CONFIGURATION, &differences]).try_for_each(|(path, content)| fs::write(path, content))
    }

    fn remove(self) -> io::Result<()> {
        remove(&self.0)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // For the ways out that do not pass `remove`; there is nobody left to tell.
        let _ = remove(&self.0);
    }
}

fn remove(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// The loopback address with `port` if nobody has it, else with any. A gateway shares its port with others of its kind
/// (`SO_REUSEPORT`), so only asking without that option tells.
fn free(port: u16) -> SocketAddr {
    let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    Probe::bind(wanted).map_or_else(|_| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), |_| wanted)
}

async fn listen(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind(free(port)).await
}
