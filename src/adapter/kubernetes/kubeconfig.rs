//! Where a connection's settings come from: kubeconfig files as kubectl reads them, or the service account of a pod.

use super::proxy::is_direct;
use kube::config::{AuthInfo, Kubeconfig, KubeconfigError, LoadDataError};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The settings of the connection cannot be used. Says what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// There is no kubeconfig, and this is not a pod.
    #[error("no kubeconfig: looked for {looked}; set KUBECONFIG, or log in with your provider's tool, which writes one")]
    NoKubeconfig {
        /// Files that were looked for.
        looked: String,
    },
    /// A file cannot be read.
    #[error("cannot read {file}: {why}")]
    Unreadable {
        /// The file.
        file: String,
        /// Why not.
        why: String,
    },
    /// A kubeconfig is not what it should be.
    #[error("{file}{}: not a kubeconfig: {why}", .line.map(|line| format!(":{line}")).unwrap_or_default())]
    Broken {
        /// The file.
        file: String,
        /// Line of the mistake, when it is known.
        line: Option<u64>,
        /// What is wrong.
        why: String,
    },
    /// The context is not in the kubeconfig.
    #[error("no context {} in {files}; there {}", quoted(.context.as_deref()), listed(.known))]
    NoContext {
        /// The context asked for; `None` when none was named and the files set no current one.
        context: Option<String>,
        /// Contexts that are there.
        known: Vec<String>,
        /// Files that were read.
        files: String,
    },
    /// A certificate, a key or a token cannot be used.
    #[error("credentials of {user}: {why}")]
    Credentials {
        /// Name of the user in the kubeconfig.
        user: String,
        /// What is wrong, and what to do.
        why: String,
    },
    /// The cluster's entry cannot be used.
    #[error("cluster of context {context}: {why}")]
    Cluster {
        /// The context.
        context: String,
        /// What is wrong.
        why: String,
    },
}

fn quoted(context: Option<&str>) -> String {
    context.map_or_else(|| "(none is named, and no current-context is set)".to_owned(), |name| format!("`{name}`"))
}

fn listed(known: &[String]) -> String {
    match known {
        [] => "are none".to_owned(),
        [one] => format!("is: {one}"),
        many => format!("are: {}", many.join(", ")),
    }
}

/// Which files and which context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Context; the current one when absent.
    pub(super) context: Option<String>,
    /// This file alone, whatever the environment says.
    pub(super) file: Option<PathBuf>,
}

/// Settings as written, before any login.
#[derive(Clone)]
pub(super) struct Loaded {
    /// The context that was taken; `None` in a pod.
    pub(super) context: Option<String>,
    /// Cluster address, trust roots, proxy; credentials as the files have them.
    pub(super) config: kube::Config,
    /// Name of the user entry.
    pub(super) user: String,
    /// The files, for messages.
    pub(super) origin: String,
    /// When one of these changes, the settings are read again.
    pub(super) watched: Vec<PathBuf>,
}

/// What the watched files looked like.
pub(super) type Fingerprint = Vec<Option<(SystemTime, u64)>>;

/// Size and time of change of each file; `None` for one that cannot be looked at.
pub(super) fn fingerprint(files: &[PathBuf]) -> Fingerprint {
    files.iter().map(|file| std::fs::metadata(file).ok().and_then(|meta| Some((meta.modified().ok()?, meta.len())))).collect()
}

impl Place {
    /// Reads the settings. Reads files, so it belongs on a thread that may block.
    pub(super) fn load(&self) -> Result<Loaded, ConnectError> {
        self.load_from(&self.files())
    }

    fn load_from(&self, files: &[PathBuf]) -> Result<Loaded, ConnectError> {
        let there: Vec<PathBuf> = files.iter().filter(|file| self.file.is_some() || file.exists()).cloned().collect();
        if there.is_empty() {
            return in_cluster(files);
        }
        let mut merged = Kubeconfig::default();
        for file in &there {
            let one = Kubeconfig::read_from(file).map_err(|error| unreadable(file, &error))?;
            merged = merged.merge(one).map_err(|error| ConnectError::Broken { file: shown(file), line: None, why: error.to_string() })?;
        }
        let origin = there.iter().map(|file| shown(file)).collect::<Vec<_>>().join(", ");
        self.resolve(merged, origin, there)
    }

    /// The files that count: the one given, those of KUBECONFIG, or the one in the home directory.
    fn files(&self) -> Vec<PathBuf> {
        if let Some(file) = &self.file {
            return vec![file.clone()];
        }
        #[expect(clippy::disallowed_methods, reason = "KUBECONFIG is how every Kubernetes client is told its files")]
        let listed = std::env::var_os("KUBECONFIG").unwrap_or_default();
        let files: Vec<PathBuf> = std::env::split_paths(&listed).filter(|path| !path.as_os_str().is_empty()).collect();
        if !files.is_empty() {
            return files;
        }
        directories::BaseDirs::new().map(|dirs| dirs.home_dir().join(".kube").join("config")).into_iter().collect()
    }

    fn resolve(&self, mut kubeconfig: Kubeconfig, origin: String, mut watched: Vec<PathBuf>) -> Result<Loaded, ConnectError> {
        let known: Vec<String> = kubeconfig.contexts.iter().map(|context| context.name.clone()).collect();
        let name = self.context.clone().or_else(|| kubeconfig.current_context.clone().filter(|name| !name.is_empty()));
        let missing = |context| ConnectError::NoContext { context, known: known.clone(), files: origin.clone() };
        let Some(name) = name else { return Err(missing(None)) };
        let Some(context) = kubeconfig.contexts.iter().find(|context| context.name == name).and_then(|named| named.context.clone()) else {
            return Err(missing(Some(name)));
        };
        let user = context.user.clone().unwrap_or_default();
        if !user.is_empty() && !kubeconfig.auth_infos.iter().any(|named| named.name == user) {
            let why = format!("context {name} names this user, but {origin} has no such entry under `users`");
            return Err(ConnectError::Credentials { user, why });
        }
        kubeconfig.current_context = Some(name.clone());
        let cluster = kubeconfig.clusters.iter().find(|named| named.name == context.cluster).and_then(|named| named.cluster.as_ref());
        let own_proxy = cluster.is_some_and(|cluster| cluster.proxy_url.is_some());
        let mut config = kube::Config::try_from(kubeconfig).map_err(|error| unusable(&error, &name, &user))?;
        // The library compares NO_PROXY with the proxy's address rather than with the cluster's.
        if !own_proxy && is_direct(config.cluster_url.host().unwrap_or_default(), &no_proxy()) {
            config.proxy_url = None;
        }
        watched.extend(credential_files(&config.auth_info));
        Ok(Loaded { context: Some(name), config, user, origin, watched })
    }
}

#[expect(clippy::disallowed_methods, reason = "NO_PROXY is how every client is told what is near")]
fn no_proxy() -> String {
    ["NO_PROXY", "no_proxy"].iter().find_map(|name| std::env::var(name).ok()).unwrap_or_default()
}

fn in_cluster(looked: &[PathBuf]) -> Result<Loaded, ConnectError> {
    let looked = looked.iter().map(|file| shown(file)).collect::<Vec<_>>().join(", ");
    let config = kube::Config::incluster_env().map_err(|_| ConnectError::NoKubeconfig { looked })?;
    let watched = credential_files(&config.auth_info);
    Ok(Loaded {
        context: None,
        config,
        user: "the pod's service account".to_owned(),
        origin: "the pod's service account".to_owned(),
        watched,
    })
}

/// Files outside the kubeconfig that hold credentials.
fn credential_files(auth: &AuthInfo) -> Vec<PathBuf> {
    [&auth.token_file, &auth.client_certificate, &auth.client_key].into_iter().flatten().map(PathBuf::from).collect()
}

fn unreadable(file: &Path, error: &KubeconfigError) -> ConnectError {
    match error {
        KubeconfigError::ReadConfig(why, _) if why.kind() == std::io::ErrorKind::InvalidData => {
            ConnectError::Broken { file: shown(file), line: None, why: why.to_string() }
        }
        KubeconfigError::ReadConfig(why, _) => ConnectError::Unreadable { file: shown(file), why: why.to_string() },
        KubeconfigError::Parse(why) => ConnectError::Broken {
            file: shown(file),
            line: why.location().map(|at| at.line()),
            // The parser draws the source around the mistake, where secrets stand: only its first line is shown.
            why: crate::domain::text::clean_bounded(why.to_string().lines().next().unwrap_or("cannot be read"), 160),
        },
        other => ConnectError::Broken { file: shown(file), line: None, why: crate::domain::text::clean_bounded(&other.to_string(), 160) },
    }
}

fn unusable(error: &KubeconfigError, context: &str, user: &str) -> ConnectError {
    let credentials = |why: String| ConnectError::Credentials { user: user.to_owned(), why };
    let data = |what: &str, error: &LoadDataError| match error {
        LoadDataError::ReadFile(why, file) => format!("cannot read the {what} {}: {why}", shown(file)),
        other => format!("the {what} cannot be used: {other}"),
    };
    match error {
        KubeconfigError::LoadClientCertificate(why) => credentials(data("client certificate", why)),
        KubeconfigError::LoadClientKey(why) => credentials(data("client key", why)),
        KubeconfigError::LoadCertificateAuthority(why) => {
            ConnectError::Cluster { context: context.to_owned(), why: data("certificate authority", why) }
        }
        other => ConnectError::Cluster { context: context.to_owned(), why: crate::domain::text::clean_bounded(&other.to_string(), 200) },
    }
}

fn shown(file: &Path) -> String {
    crate::domain::text::clean_bounded(&file.display().to_string(), 200)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "apiVersion: v1\nkind: Config\ncurrent-context: a\nclusters:\n- name: c\n  cluster: {server: 'https://127.0.0.1:1'}\n\
                        contexts:\n- name: a\n  context: {cluster: c, user: u}\nusers:\n- name: u\n  user: {tokenFile: token}\n";

    fn load(text: &str, context: Option<&str>) -> Result<Loaded, ConnectError> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config");
        std::fs::write(&file, text).unwrap();
        Place { context: context.map(str::to_owned), file: Some(file) }.load()
    }

    #[test]
    fn a_token_file_is_found_beside_the_kubeconfig_and_watched() {
        let loaded = load(GOOD, None).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(loaded.user, "u");
        assert_eq!(loaded.watched.len(), 2, "the kubeconfig and the token file");
        assert!(loaded.watched[1].is_absolute(), "relative to the kubeconfig, not to where we run");
    }

    #[test]
    fn of_several_files_the_first_to_say_something_wins_and_a_missing_one_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let files = ["one", "missing", "two"].map(|name| dir.path().join(name));
        std::fs::write(&files[0], GOOD).unwrap();
        let other = GOOD
            .replace("current-context: a", "current-context: b")
            .replace("127.0.0.1:1", "127.0.0.1:2")
            .replace("- name: a", "- name: b");
        std::fs::write(&files[2], other).unwrap();
        let load = |context: Option<&str>| Place { context: context.map(str::to_owned), file: None }.load_from(&files);
        let loaded = load(None).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(loaded.config.cluster_url.port_u16(), Some(1), "current-context and cluster c of the first file");
        assert!(load(Some("b")).is_ok(), "contexts of the second are there too");
        assert!(load(Some("c")).err().unwrap().to_string().contains("there are: a, b"));
    }

    #[test]
    fn a_missing_context_lists_those_that_are_there() {
        let error = load(GOOD, Some("b")).err().unwrap();
        assert!(error.to_string().contains("no context `b`") && error.to_string().contains("there is: a"), "{error}");
    }

    #[test]
    fn a_missing_file_a_broken_file_and_a_missing_user_are_told_apart() {
        let missing = Place { context: None, file: Some("/nonexistent/kubeconfig".into()) }.load().err().unwrap();
        assert!(matches!(&missing, ConnectError::Unreadable { file, .. } if file.contains("nonexistent")), "{missing}");
        let broken = load("apiVersion: v1\nclusters: 7\n", None).err().unwrap();
        assert!(matches!(broken, ConnectError::Broken { line: Some(2), .. }), "{broken}");
        let user = load(&GOOD.replace("- name: u\n", "- name: other\n"), None).err().unwrap();
        assert!(matches!(&user, ConnectError::Credentials { user, .. } if user == "u"), "{user}");
    }

    #[test]
    fn a_broken_file_never_shows_the_text_around_the_mistake() {
        let broken = load("users:\n- name: u\n  user: {token: s3cr3t\ncontexts: [}", None).err().unwrap();
        assert!(!broken.to_string().contains("s3cr3t"), "{broken}");
    }
}
