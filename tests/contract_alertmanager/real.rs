//! The real Alertmanager as a child process with its own folder, alone (no cluster).

use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Running until dropped.
pub(crate) struct Alertmanager {
    pub(crate) url: String,
    child: Child,
    _folder: tempfile::TempDir,
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Alertmanager {
    /// Starts it on a free port and waits until it is ready. Somebody else may take the port in between: then another is tried.
    pub(crate) async fn start(client: &reqwest::Client) -> Self {
        for _ in 0..5 {
            let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut started = Self::spawn(port);
            if started.ready(client).await {
                return started;
            }
        }
        panic!("prometheus-alertmanager does not get ready; run it by hand to see why");
    }

    fn spawn(port: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("alertmanager.yml");
        std::fs::write(&config, "route: {receiver: chat, group_by: [alertname]}\nreceivers: [{name: chat}]\n").unwrap();
        let child = Command::new("prometheus-alertmanager")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--cluster.listen-address=")
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
}
