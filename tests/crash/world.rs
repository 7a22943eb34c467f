//! A simulated platform in a process of its own, the shipped program beside it, and what must hold whenever the program is dead.

use gonogo::domain::record::Entry;
use gonogo::runbook::state::{OpStage, Phase, RunState};
use serde_json::{Value, json};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The object that routes the traffic.
const SERVICE: &str = "/apis/networking.istio.io/v1/namespaces/shop/virtualservices/checkout";

/// Between two looks.
const LOOK: Duration = Duration::from_millis(25);

/// Waits until something is there, looking often.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(now() < end, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(LOOK);
    }
}

#[expect(clippy::disallowed_methods, reason = "the bound of a wait")]
fn now() -> Instant {
    Instant::now()
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code; none when it was killed.
    pub(crate) code: Option<i32>,
    /// What it said.
    pub(crate) said: String,
}

impl Ended {
    /// The point at which it was killed.
    pub(crate) fn point(&self) -> Option<&str> {
        let point = self.said.lines().find_map(|line| line.strip_prefix("crash point "));
        assert_eq!(point.is_some(), self.code.is_none(), "{self:?}");
        point
    }
}

/// A write that reached the platform.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) fence: bool,
    pub(crate) applied: bool,
    /// The operation stamped by it.
    pub(crate) op: Option<String>,
}

impl Call {
    fn of(line: &str) -> Self {
        let call: Value = serde_json::from_str(line).expect("a line of the calls file");
        let stamp = call["body"].as_array().into_iter().flatten().find(|op| op["path"] == "/metadata/annotations/gonogo.dev~1op");
        Self {
            fence: call["kind"] == "fence",
            applied: call["result"] == "applied",
            op: stamp.and_then(|op| op["value"].as_str()).map(str::to_owned),
        }
    }
}

/// Everything there is to see.
pub(crate) struct Seen {
    pub(crate) calls: Vec<Call>,
    pub(crate) runs: Vec<String>,
    /// Of the only run.
    pub(crate) entries: Vec<Entry>,
    pub(crate) state: Option<RunState>,
    /// The canary's weight on the platform.
    pub(crate) weight: u64,
    /// So many of the first calls were somebody else's.
    pub(crate) foreign: usize,
}

/// The journal line by line, then the platform.
impl std::fmt::Debug for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for entry in &self.entries {
            let body: String = entry.body.to_string().chars().take(240).collect();
            writeln!(f, "  {:>3} {} {} {} {body}", entry.seq, entry.time.wall.format("%H:%M:%S%.3f"), entry.epoch, entry.kind)?;
        }
        let operation = self.state.as_ref().and_then(|state| state.operation.as_ref()).map(|op| (&op.op, &op.stage));
        writeln!(f, "  runs {:?}, phase {:?}, last operation {operation:?}", self.runs, self.state.as_ref().map(|state| state.phase))?;
        writeln!(f, "  platform at {}% after {:?}", self.weight, self.calls)
    }
}

impl Seen {
    pub(crate) fn acts(&self) -> usize {
        self.calls.iter().filter(|call| !call.fence).count()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.state.as_ref().is_some_and(|state| state.phase.is_final())
    }

    /// What must hold at every moment, whoever died when. `before`: the weight at the start.
    pub(crate) fn check(&self, before: u64) -> Result<(), String> {
        let bad = |why: String| Err(format!("{why}\n{self:?}"));
        if self.runs.len() > 1 {
            return bad(format!("{} runs", self.runs.len()));
        }
        if self.acts() > 1 + self.foreign {
            return bad("one change was wanted, and more than one act reached the platform".into());
        }
        for call in self.calls.iter().filter(|call| !call.fence).skip(self.foreign) {
            let op = call.op.as_deref().unwrap_or_default();
            let intended = self.entries.iter().any(|e| e.kind == "action.intent" && e.body["op"] == op);
            if !intended {
                return bad(format!("{op:?} reached the platform without a durable intent"));
            }
        }
        if let Some(pair) = self.entries.windows(2).find(|pair| pair[1].epoch < pair[0].epoch) {
            return bad(format!("the epoch went back at entry {}", pair[1].seq));
        }
        let Some(state) = &self.state else {
            return if self.weight == before && self.calls.is_empty() { Ok(()) } else { bad("writes without a run".into()) };
        };
        let believed = state.intended.map_or(before, |weight| u64::from(weight.get()));
        let open = state.unclear().is_some() || state.operation.as_ref().is_some_and(|op| op.stage == OpStage::Accepted);
        if believed != self.weight && !open {
            return bad(format!("the run believes {believed}%, the platform is at {}%, and no question is open", self.weight));
        }
        Ok(())
    }

    /// What must hold when the act was brought to its end.
    pub(crate) fn check_done(&self, before: u64, wanted: u64, phase: Phase) -> Result<(), String> {
        self.check(before)?;
        let state = self.state.as_ref().ok_or("there is no run")?;
        let applied: Vec<_> = self.calls.iter().filter(|call| !call.fence && call.applied).skip(self.foreign).collect();
        let believed = state.intended.map(|weight| u64::from(weight.get()));
        if applied.len() != 1 || self.weight != wanted || believed != Some(wanted) || state.phase != phase || state.unclear().is_some() {
            return Err(format!("wanted {wanted}% and {phase:?} by one act: {self:?}"));
        }
        Ok(())
    }
}

/// The simulator in its own process, and a folder for everything.
pub(crate) struct World {
    dir: tempfile::TempDir,
    sim: Child,
    /// Whether somebody else wrote, before any act of the program.
    foreign: Cell<bool>,
}

impl World {
    pub(crate) fn start(scene: &str, faults: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let mut command = program(&dir);
        command.args(["sim", "--scene", scene, "--dir"]).arg(dir.path().join("sim")).arg("--calls").arg(dir.path().join("calls"));
        for fault in faults {
            command.args(["--fault", fault]);
        }
        let sim = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the simulator");
        let mut world = Self { dir, sim, foreign: Cell::new(false) };
        let ready = world.dir.path().join("sim/endpoints.json");
        eventually("the simulator", || {
            let ended = world.sim.try_wait().expect("the simulator");
            assert!(ended.is_none(), "the simulator ended: {ended:?}");
            ready.exists().then_some(())
        });
        world
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.dir.path().join("sim/config.toml")
    }

    /// A command of the shipped program.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = program(&self.dir);
        command.args(args).arg("--config").arg(self.config()).args(["--timeout", "50s"]);
        command
    }

    /// Runs a command to its end. `crash`: the point at which it is to be killed, such as `any:3`.
    pub(crate) fn run(&self, args: &[&str], crash: Option<&str>) -> Ended {
        let mut command = self.command(args);
        if let Some(wish) = crash {
            command.env("GONOGO_CRASH", wish);
        }
        Self::output(command)
    }

    pub(crate) fn output(mut command: Command) -> Ended {
        let output = command.stdin(Stdio::null()).output().expect("the program");
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        Ended { code: output.status.code(), said }
    }

    fn json(&self, args: &[&str]) -> Value {
        let output = self.command(args).arg("--json").stdin(Stdio::null()).output().expect("the program");
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        let text = std::fs::read_to_string(self.dir.path().join("calls")).expect("the calls file");
        text.lines().map(Call::of).collect()
    }

    /// The runs in the journal. Reading one checks its chain of hashes.
    pub(crate) fn runs(&self) -> Vec<String> {
        let runs = self.json(&["runs"]);
        runs["runs"].as_array().into_iter().flatten().filter_map(|run| run["run"].as_str()).map(str::to_owned).collect()
    }

    pub(crate) fn entries(&self, run: &str) -> Vec<Entry> {
        serde_json::from_value(self.json(&["show", run])["entries"].take()).expect("entries")
    }

    pub(crate) fn seen(&self) -> Seen {
        let runs = self.runs();
        let entries = runs.first().map(|run| self.entries(run)).unwrap_or_default();
        let state = (!entries.is_empty()).then(|| RunState::of(&entries).expect("a journal that can be followed"));
        Seen { calls: self.calls(), runs, entries, state, weight: self.weight(), foreign: usize::from(self.foreign.get()) }
    }

    /// Checks what must hold now, and gives what there is.
    pub(crate) fn checked(&self, before: u64) -> Seen {
        let seen = self.seen();
        if let Err(why) = seen.check(before) {
            panic!("{why}");
        }
        seen
    }

    /// One request to the platform, past the program.
    fn ask(&self, request: http::request::Builder, body: &Value) -> Value {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let _ = rustls::crypto::ring::default_provider().install_default();
            let kubeconfig = kube::config::Kubeconfig::read_from(self.dir.path().join("sim/kubeconfig")).expect("the kubeconfig");
            let config = kube::Config::from_custom_kubeconfig(kubeconfig, &kube::config::KubeConfigOptions::default()).await;
            let client = kube::Client::try_from(config.expect("a usable kubeconfig")).expect("a client");
            let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
            client.request(request.uri(SERVICE).body(body).expect("a request")).await.expect("the VirtualService")
        })
    }

    /// Somebody else moves the weight. Once, and before any act of the program.
    pub(crate) fn change_foreign(&self, weight: u64) {
        assert!(!self.foreign.replace(true) && self.calls().is_empty());
        let path = |at: u32| format!("/spec/http/1/route/{at}/weight");
        let patch = json!([
            { "op": "test", "path": "/spec/http/1/name", "value": "primary" },
            { "op": "replace", "path": path(0), "value": 100 - weight },
            { "op": "replace", "path": path(1), "value": weight },
        ]);
        self.ask(http::Request::builder().method("PATCH").header("content-type", "application/json-patch+json"), &patch);
        assert_eq!(self.weight(), weight);
    }

    /// The canary's weight, asked from the platform itself.
    pub(crate) fn weight(&self) -> u64 {
        let object = self.ask(http::Request::builder(), &Value::Null);
        let rules = object["spec"]["http"].as_array().expect("rules");
        let rule = rules.iter().find(|rule| rule["name"] == "primary").expect("the rule");
        let side = rule["route"].as_array().into_iter().flatten().find(|to| to["destination"]["subset"] == "canary");
        side.and_then(|to| to["weight"].as_u64()).expect("the canary's weight")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.sim.kill();
        let _ = self.sim.wait();
    }
}

/// The program, without anything of the person's own.
fn program(dir: &tempfile::TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gonogo"));
    command.env_remove("GONOGO_CONFIG").env_remove("KUBECONFIG").env_remove("FAILPOINTS").env("HOME", dir.path());
    command
}

/// The distinct points of a list of deaths.
pub(crate) fn distinct(points: &[String]) -> BTreeSet<&str> {
    points.iter().map(String::as_str).collect()
}
