//! Where files are, by the XDG rules on Linux and macOS alike, and in the user's folders on Windows.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The configuration file: the flag, `GONOGO_CONFIG`, then the usual place. `None` when there is no home folder either.
pub fn config_file(flag: Option<&Path>, env: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let named = flag.map(Path::to_owned).or_else(|| set(&env, "GONOGO_CONFIG"));
    named.or_else(|| Some(config_dir(&env)?.join("config.toml")))
}

/// The folder of the configuration file, and of themes and keymaps beside it.
pub fn config_dir(env: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let base = if cfg!(windows) {
        directories::BaseDirs::new().map(|dirs| dirs.config_dir().to_owned())
    } else {
        absolute(&env, "XDG_CONFIG_HOME").or_else(|| Some(home(&env)?.join(".config")))
    };
    Some(base?.join("gonogo"))
}

/// The folder of the journal and the logs: what the configuration says, else the usual place.
pub fn state_dir(configured: Option<&Path>, env: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    if let Some(configured) = configured {
        return Some(configured.to_owned());
    }
    let base = if cfg!(windows) {
        directories::BaseDirs::new().map(|dirs| dirs.data_local_dir().to_owned())
    } else {
        absolute(&env, "XDG_STATE_HOME").or_else(|| Some(home(&env)?.join(".local").join("state")))
    };
    Some(base?.join("gonogo"))
}

fn set(env: &impl Fn(&str) -> Option<OsString>, name: &str) -> Option<PathBuf> {
    env(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// The XDG rules: a relative path is to be ignored.
fn absolute(env: &impl Fn(&str) -> Option<OsString>, name: &str) -> Option<PathBuf> {
    set(env, name).filter(|path| path.is_absolute())
}

fn home(env: &impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    absolute(env, "HOME").or_else(|| directories::BaseDirs::new().map(|dirs| dirs.home_dir().to_owned()))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn env(pairs: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<OsString> {
        move |name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| OsString::from(v))
    }

    #[test]
    fn the_flag_goes_before_the_environment_and_that_before_the_usual_place() {
        const ALL: &[(&str, &str)] = &[("GONOGO_CONFIG", "/c.toml"), ("XDG_CONFIG_HOME", "/xdg"), ("HOME", "/home/me")];
        assert_eq!(config_file(Some(Path::new("f.toml")), env(ALL)), Some("f.toml".into()));
        assert_eq!(config_file(None, env(ALL)), Some("/c.toml".into()));
        assert_eq!(config_file(None, env(&ALL[1..])), Some("/xdg/gonogo/config.toml".into()));
        assert_eq!(config_file(None, env(&ALL[2..])), Some("/home/me/.config/gonogo/config.toml".into()));
        assert_eq!(config_file(None, env(&[("GONOGO_CONFIG", ""), ("HOME", "/h")])), Some("/h/.config/gonogo/config.toml".into()));
    }

    #[test]
    fn state_is_where_the_configuration_says_or_by_xdg() {
        const ALL: &[(&str, &str)] = &[("XDG_STATE_HOME", "/state"), ("HOME", "/home/me")];
        assert_eq!(state_dir(Some(Path::new("/own")), env(ALL)), Some("/own".into()));
        assert_eq!(state_dir(None, env(ALL)), Some("/state/gonogo".into()));
        assert_eq!(state_dir(None, env(&[("XDG_STATE_HOME", "relative"), ("HOME", "/h")])), Some("/h/.local/state/gonogo".into()));
    }
}
