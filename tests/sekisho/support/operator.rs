//! What operators and security teams see from outside.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::wire::Answer;
use super::{PATIENCE, eventually, within};

/// The operator address.
#[derive(Debug, Clone, Copy)]
pub struct Operator(SocketAddr);

impl Operator {
    pub fn at(address: SocketAddr) -> Self {
        Self(address)
    }

    pub async fn get(&self, path: &str) -> Answer {
        let fetch = async {
            let mut stream = TcpStream::connect(self.0).await.unwrap();
            let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.0);
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).await.unwrap();
            Answer::parse(&bytes).unwrap()
        };
        within(PATIENCE, path, fetch).await
    }

    /// Every series with its value, as it stands in the exposition.
    pub async fn series(&self) -> BTreeMap<String, f64> {
        let answer = self.get("/metrics").await;
        assert_eq!(answer.status, 200);
        let lines = answer.text();
        let samples = lines.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        samples.map(|line| line.rsplit_once(' ').unwrap()).map(|(k, v)| (k.to_owned(), v.parse().unwrap())).collect()
    }

    /// The sum over the series with this name that carry all of these labels; 0 where there is none.
    pub async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let carries = |series: &str| {
            let (own, rest) = series.split_once('{').unwrap_or((series, ""));
            own == name && labels.iter().all(|(label, value)| rest.contains(&format!("{label}=\"{value}\"")))
        };
        self.series().await.iter().filter(|(series, _)| carries(series)).map(|(_, value)| value).sum()
    }

    /// Waits until that metric has reached the value.
    pub async fn wait_for(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        eventually(&format!("{name}{labels:?}"), || self.metric(name, labels), |now| *now >= value).await;
    }

    /// Waits until that metric has fallen to the value or below.
    pub async fn wait_until_at_most(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        eventually(&format!("{name}{labels:?}"), || self.metric(name, labels), |now| *now <= value).await;
    }
}
