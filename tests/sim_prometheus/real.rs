//! The real Prometheus as a child process with its own folder, fed by remote write.

use super::data::Sampled;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Running until dropped.
pub(crate) struct Prometheus {
    pub(crate) url: String,
    child: Child,
    _folder: tempfile::TempDir,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    /// Starts it on a free port and waits until it is ready. Somebody else may take the port in between: then another is tried.
    pub(crate) async fn start(client: &reqwest::Client) -> Self {
        for _ in 0..5 {
            let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut started = Self::spawn(port);
            if started.ready(client).await {
                return started;
            }
        }
        panic!("prometheus does not get ready; run it by hand to see why");
    }

    fn spawn(port: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("prometheus.yml");
        std::fs::write(&config, "global: {scrape_interval: 15s, evaluation_interval: 15s}\n").unwrap();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--web.enable-remote-write-receiver")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { url: format!("http://127.0.0.1:{port}"), child, _folder: folder }
    }

    /// Polls for at most 30 seconds, or until the process has ended.
    async fn ready(&mut self, client: &reqwest::Client) -> bool {
        for _ in 0..600 {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            let answer = client.get(format!("{}/-/ready", self.url)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        false
    }

    /// Remote write keeps every bit of the values, staleness markers included, which no text format does.
    pub(crate) async fn write(&self, client: &reqwest::Client, series: &[Sampled]) {
        let request = client
            .post(format!("{}/api/v1/write", self.url))
            .header("Content-Type", "application/x-protobuf")
            .header("Content-Encoding", "snappy")
            .header("X-Prometheus-Remote-Write-Version", "0.1.0")
            .body(snappy(&write_request(series)));
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "remote write: {status} {text}");
    }
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A protobuf field of wire type 2: a string or a message.
fn field(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push(number << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// `prometheus.WriteRequest`: time series (1) of labels (1: name, value) and samples (2: double, int64 milliseconds).
fn write_request(series: &[Sampled]) -> Vec<u8> {
    let mut out = Vec::new();
    for one in series {
        let mut message = Vec::new();
        for (name, value) in &one.labels {
            let mut label = Vec::new();
            field(&mut label, 1, name.as_bytes());
            field(&mut label, 2, value.as_bytes());
            field(&mut message, 1, &label);
        }
        for (at, value) in &one.samples {
            let mut sample = vec![1 << 3 | 1];
            sample.extend_from_slice(&value.to_bits().to_le_bytes());
            sample.push(2 << 3);
            varint(&mut sample, u64::try_from(*at).unwrap());
            field(&mut message, 2, &sample);
        }
        field(&mut out, 1, &message);
    }
    out
}

/// Snappy's block format, using literals only.
fn snappy(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    varint(&mut out, bytes.len() as u64);
    for chunk in bytes.chunks(0x1_0000) {
        out.push(61 << 2);
        out.extend_from_slice(&u16::try_from(chunk.len() - 1).unwrap().to_le_bytes());
        out.extend_from_slice(chunk);
    }
    out
}
